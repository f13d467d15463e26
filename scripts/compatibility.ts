/** Writes docs/compatibility.md from the rules of the conformance run: `npm run compatibility`. A test holds them together. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { text } from "./compatibilityText.ts"

writeFileSync(join(import.meta.dirname, "../docs/compatibility.md"), text)
