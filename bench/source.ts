/**
 * How fast a slot is read: both drivers beside pg_recvlogical, on a private Postgres.
 *
 *     node bench/source.ts [rows=300000] [rounds=3]
 *
 * Rows of about 350 bytes, 100 a transaction. Each arm of each round is a fresh process that reads a copy of one
 * slot to its end; arms alternate, medians count. CPU is the client's. "frames" hands out frames only; "rows" also
 * decodes them (`domain/Decoder`) and splits each row into its columns.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import type { Item } from "../src/domain/Chunk.ts"
import * as Decoder from "../src/domain/Decoder.ts"
import * as SlotSource from "../src/layers/postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../src/layers/postgres/replication/SlotSourcePglr.ts"
import { ChangeSource, type Plugin } from "../src/services/ChangeSource.ts"
import { SourceSettings } from "../src/services/Settings.ts"
import { startServer } from "../test/support/PostgresServer.ts"

const MAX_FRAME_BYTES = 256 * 1024 * 1024
const drivers = { socket: SlotSource.layer, pglr: SlotSourcePglr.layer } as const
type Driver = keyof typeof drivers

interface Measured {
  readonly rowsPerSecond: number
  readonly cpuMicros: number
}

/** Reads `rows` rows and prints what it took: the body of a fresh process. */
const child = async (driver: Driver, work: string, url: string, slotName: string, rows: number) => {
  const settings = Layer.succeed(SourceSettings, {
    url: Redacted.make(url),
    slotName,
    driver: "socket",
    maxFrameBytes: MAX_FRAME_BYTES,
    readAheadBytes: 8 * 1024 * 1024,
    backoffInitialMs: 500,
    backoffMaxMs: 30_000,
    silenceMs: 30_000
  })
  const program = Effect.gen(function*() {
    const connection = yield* (yield* ChangeSource).open(0)
    const decoder = Decoder.make(connection.plugin, { maxFrameBytes: MAX_FRAME_BYTES })
    const insert = connection.plugin === "pgoutput" ? 0x49 : Buffer.from('{"action":"I"')[11]!
    const at = connection.plugin === "pgoutput" ? 0 : 11
    const before = process.cpuUsage()
    const began = performance.now()
    let seen = 0
    let values = 0
    while (seen < rows) {
      const { frames } = yield* connection.read
      const items: Array<Item> = []
      for (const frame of frames) {
        if (!frame.keepalive && frame.bytes[frame.start + at] === insert) seen++
        if (work === "rows") decoder.push(frame, items)
      }
      for (const item of items) {
        const row = item._tag === "Change" ? item.newRow() : undefined
        if (row !== undefined) values += row.spans.length
      }
    }
    const ms = performance.now() - began
    const cpu = process.cpuUsage(before)
    return { rowsPerSecond: (seen / ms) * 1_000, cpuMicros: (cpu.user + cpu.system) / seen, values }
  })
  const measured = await Effect.runPromise(
    program.pipe(Effect.scoped, Effect.provide(drivers[driver]), Effect.provide(settings))
  )
  process.stdout.write(JSON.stringify(measured))
}

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

const parent = async (rows: number, rounds: number) => {
  const server = await startServer()
  try {
    server.psql(`
      CREATE TABLE bench (id bigint PRIMARY KEY, a text, b text, c int, d timestamptz, e bool);
      CREATE PUBLICATION pgstream FOR ALL TABLES;
      CREATE PROCEDURE fill(n bigint) LANGUAGE plpgsql AS $$ BEGIN
        FOR i IN 0 .. n / 100 - 1 LOOP
          INSERT INTO bench SELECT i * 100 + j, repeat(md5(j::text), 4), repeat(md5(i::text), 5), j, now(), true FROM generate_series(1, 100) j;
          COMMIT;
        END LOOP; END $$;`)
    const plugins: ReadonlyArray<Plugin> = server.hasWal2json ? ["pgoutput", "wal2json"] : ["pgoutput"]
    for (const plugin of plugins)
      server.psql(`SELECT pg_create_logical_replication_slot('base_${plugin}', '${plugin}')`)
    server.psql(`CALL fill(${rows})`)
    const end = server.psql("SELECT pg_current_wal_lsn()").trim()
    let copies = 0
    const copy = (plugin: Plugin) => {
      const name = `copy_${copies++}`
      server.psql(`SELECT pg_copy_logical_replication_slot('base_${plugin}', '${name}')`)
      return name
    }
    const recvlogical = (plugin: Plugin): Measured => {
      const slot = copy(plugin)
      const options =
        plugin === "pgoutput"
          ? ["-o", "proto_version=1", "-o", "publication_names=pgstream"]
          : [
              "-o",
              "format-version=2",
              "-o",
              "include-lsn=1",
              "-o",
              "include-timestamp=1",
              "-o",
              "include-xids=1"
            ]
      const began = performance.now()
      execFileSync(
        join(server.bin, "pg_recvlogical"),
        [
          "-h",
          "127.0.0.1",
          "-p",
          String(server.port),
          "-U",
          "postgres",
          "-d",
          "postgres",
          "--slot",
          slot,
          "--start",
          "-f",
          "/dev/null",
          "--endpos",
          end,
          ...options
        ],
        { stdio: "ignore" }
      )
      return { rowsPerSecond: (rows / (performance.now() - began)) * 1_000, cpuMicros: Number.NaN }
    }
    const ours =
      (driver: Driver, work: string) =>
      (plugin: Plugin): Measured =>
        JSON.parse(
          execFileSync(
            process.execPath,
            [import.meta.filename, "child", driver, work, server.url(), copy(plugin), String(rows)],
            { encoding: "utf8" }
          )
        ) as Measured
    const arms: ReadonlyArray<readonly [string, (plugin: Plugin) => Measured]> = [
      ["pg_recvlogical to /dev/null", recvlogical],
      ["socket, frames", ours("socket", "frames")],
      ["socket, rows", ours("socket", "rows")],
      ["pg-logical-replication, frames", ours("pglr", "frames")],
      ["pg-logical-replication, rows", ours("pglr", "rows")]
    ]
    console.log(`${rows} rows, ${rounds} rounds, Postgres ${server.version}, Node ${process.version}\n`)
    console.log("| plugin | client | rows/s | client CPU, µs a row |\n|---|---|---|---|")
    for (const plugin of plugins) {
      const results = new Map<string, Array<Measured>>()
      for (let round = 0; round < rounds; round++) {
        for (const [name, run] of arms) results.set(name, [...(results.get(name) ?? []), run(plugin)])
      }
      for (const [name, measured] of results) {
        const cpu = median(measured.map(({ cpuMicros }) => cpuMicros))
        console.log(
          `| ${plugin} | ${name} | ${Math.round(median(measured.map(({ rowsPerSecond }) => rowsPerSecond)))} | ${Number.isNaN(cpu) ? "–" : cpu.toFixed(1)} |`
        )
      }
    }
  } finally {
    await server.stop()
  }
}

const [first, ...rest] = process.argv.slice(2)
if (first === "child") await child(rest[0] as Driver, rest[1]!, rest[2]!, rest[3]!, Number(rest[4]))
else await parent(Number(first ?? 300_000), Number(rest[0] ?? 3))
