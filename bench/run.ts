/** `npm run bench`: how long `pgstream --version` takes, and the backlog beside the bare loop (arguments of backlog.ts). */
import { execFileSync, spawnSync } from "node:child_process"
import { join } from "node:path"
import { median } from "./processes.ts"

const binary = process.env["PGSTREAM_BIN"] ?? join(import.meta.dirname, "../bin/pgstream.cjs")
/** README's promise, s. */
const VERSION_LIMIT = 0.3
const RUNS = 15

const seconds = (): number => {
  const started = performance.now()
  execFileSync(process.execPath, [binary, "--version"])
  return (performance.now() - started) / 1000
}

const version = median(Array.from({ length: RUNS }, seconds))
process.stdout.write(`pgstream --version: ${version.toFixed(3)} s (median of ${RUNS}; limit ${VERSION_LIMIT} s)\n`)
const backlog = spawnSync(process.execPath, [join(import.meta.dirname, "backlog.ts"), ...process.argv.slice(2)], { stdio: "inherit" })
process.exitCode = version < VERSION_LIMIT && backlog.status === 0 ? 0 : 1
