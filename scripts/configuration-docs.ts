/** Writes docs/configuration.md from the table of keys: `node scripts/configuration-docs.ts`. A test holds them together. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { text } from "./configurationText.ts"

writeFileSync(join(import.meta.dirname, "../docs/configuration.md"), text)
