/**
 * What a DDL statement of the user costs with our event triggers: the same SQL on a fresh database with and without
 * them, arms in turn, the least of the rounds (wall time, and CPU of the backend) and their ratio.
 *
 * `node bench/ddl.ts` · rounds: PGSTREAM_BENCH_ROUNDS (default 3) · scale: PGSTREAM_BENCH_TABLES (default 2000).
 * Databases are left until the end: ext4 is slow to make files for seconds after many were deleted. For quiet figures
 * keep the data off the disk: `TMPDIR=/dev/shm node bench/ddl.ts`.
 * Bound (issue): CREATE at most 2.5 times bare, with and without a primary key. Needs a Postgres (test/support).
 */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as MigrationsSource from "../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../src/layers/postgres/Sql.ts"
import { startServer } from "../test/support/PostgresServer.ts"

const rounds = Number(process.env["PGSTREAM_BENCH_ROUNDS"] ?? 3)
const tables = Number(process.env["PGSTREAM_BENCH_TABLES"] ?? 2_000)

const every = (sql: (n: number) => string): string =>
  Array.from({ length: tables }, (_, n) => sql(n)).join("\n")

const inOne = (sql: string): string => `BEGIN;\n${sql}\nCOMMIT;\n`

const create = (key: string) => inOne(every((n) => `CREATE TABLE t${n}(a int${key}, b text, c timestamptz, d numeric, e jsonb);`))

interface Case {
  readonly name: string
  readonly before: string
  readonly measured: string
  /** Highest ratio that the issue allows. */
  readonly bound?: number
}

const cases: ReadonlyArray<Case> = [
  { name: `${tables} CREATE TABLE, no key`, before: "", measured: create(""), bound: 2.5 },
  { name: `${tables} CREATE TABLE, primary key`, before: "", measured: create(" PRIMARY KEY"), bound: 2.5 },
  { name: `${tables} DROP TABLE`, before: create(" PRIMARY KEY"), measured: inOne(every((n) => `DROP TABLE t${n};`)) },
  {
    name: `RENAME of a parent of ${tables} partitions`,
    before: inOne(`CREATE TABLE p(a int PRIMARY KEY, b text) PARTITION BY LIST (a);\n` +
      every((n) => `CREATE TABLE p${n} PARTITION OF p FOR VALUES IN (${n});`)),
    measured: "ALTER TABLE p RENAME TO q;"
  }
]

const conf = ["max_locks_per_transaction = 1024", "autovacuum = off"]
const server = await startServer({ conf })
const psql = existsSync(join(server.bin, "psql")) ? join(server.bin, "psql") : "psql"

interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

/** CPU time: user and system ticks (10 ms) of the backend, as /proc has them. */
const cpuOf = "select pg_backend_pid() as pid \\gset\n\\setenv PID :pid\n"
const cpuLine = "\n\\! awk '{print ($14 + $15) * 10}' /proc/$PID/stat\n"

const runSql = (database: string, sql: string): Cost => {
  const start = process.hrtime.bigint()
  const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres",
    "-d", database, "-f", "-"]
  const out = execFileSync(psql, args,
    { input: cpuOf + sql + cpuLine, stdio: ["pipe", "pipe", "inherit"], maxBuffer: 1 << 28, encoding: "utf8" })
  return { wallMs: Number(process.hrtime.bigint() - start) / 1e6, cpuMs: Number(out.trim()) }
}

const install = (database: string) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(server.url(database)), "bench", 1)
    yield* MigrationsSource.run(sql)
    yield* MigrationsSource.installTriggers(sql)
  }).pipe(Effect.scoped, Effect.runPromise)

const least = (costs: ReadonlyArray<Cost>): Cost => ({
  wallMs: Math.min(...costs.map((cost) => cost.wallMs)),
  cpuMs: Math.min(...costs.map((cost) => cost.cpuMs))
})

let failed = 0
try {
  let n = 0
  for (const one of cases) {
    const times = { bare: [] as Array<Cost>, ours: [] as Array<Cost> }
    for (let round = 0; round < rounds; round++) {
      for (const arm of round % 2 === 0 ? ["bare", "ours"] as const : ["ours", "bare"] as const) {
        const database = `bench_${n++}`
        server.psql(`CREATE DATABASE ${database}`)
        if (arm === "ours") await install(database)
        if (one.before !== "") runSql(database, one.before)
        times[arm].push(runSql(database, one.measured))
      }
    }
    const [bare, ours] = [least(times.bare), least(times.ours)]
    const ratio = ours.wallMs / bare.wallMs
    const verdict = one.bound === undefined ? "" : ratio <= one.bound ? `  (≤ ${one.bound}: ok)` : `  (> ${one.bound}: TOO SLOW)`
    if (one.bound !== undefined && ratio > one.bound) failed++
    console.log(`${one.name}: bare ${bare.wallMs.toFixed(0)} ms (CPU ${bare.cpuMs}), ours ${ours.wallMs.toFixed(0)} ms ` +
      `(CPU ${ours.cpuMs}), ratio ${ratio.toFixed(2)} (CPU ${(ours.cpuMs / bare.cpuMs).toFixed(2)})${verdict}`)
  }
} finally {
  await server.stop()
}
process.exitCode = failed === 0 ? 0 : 1
