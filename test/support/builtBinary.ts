/** The program as it is published, compiled: what it costs is not what the sources cost, which Node compiles as it starts. */
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { atEnd } from "./atEnd.ts"

const root = join(import.meta.dirname, "../..")
/** In it the packages are found, and nothing of it is in the tree. */
const CACHE = join(root, "node_modules/.cache")

/** In a folder of its own (`dist` may be written to by others just now), which goes at the end. Its `bin`. */
export const buildBinary = (): string => {
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(join(CACHE, "pgstream-"))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  // Types are checked elsewhere.
  const options = ["-p", join(root, "tsconfig.build.json"), "--noCheck", "--outDir", join(folder, "dist")]
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...options])
  mkdirSync(join(folder, "bin"))
  for (const file of ["package.json", "bin/pgstream.cjs"]) copyFileSync(join(root, file), join(folder, file))
  return join(folder, "bin/pgstream.cjs")
}
