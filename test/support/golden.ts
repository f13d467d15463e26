/**
 * Golden scenarios without the network: a scenario's SQL on a database of its own, both plugins' output read with SQL
 * functions, through decoder, TableShapes, Injector and Body.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { execFile, execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Data } from "../../conformance/Payload.ts"
import { BodyWriter } from "../../src/domain/Body.ts"
import type { Chunk, Item } from "../../src/domain/Chunk.ts"
import * as Decoder from "../../src/domain/Decoder.ts"
import * as EventId from "../../src/domain/EventId.ts"
import * as Lsn from "../../src/domain/Lsn.ts"
import type { ShapesDelta, ShapesSnapshot, TableShape } from "../../src/domain/TableShape.ts"
import * as InjectorLive from "../../src/layers/pipeline/Injector.ts"
import * as InjectorNone from "../../src/layers/pipeline/InjectorNone.ts"
import * as TableShapesLive from "../../src/layers/pipeline/TableShapes.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import type { Plugin } from "../../src/services/ChangeSource.ts"
import { Injector } from "../../src/services/Injector.ts"
import { TableShapes } from "../../src/services/TableShapes.ts"

/** Golden is beside the clone, or where `PGSTREAM_GOLDEN` says. */
const goldenDir = process.env["PGSTREAM_GOLDEN"] ?? join(import.meta.dirname, "../../../shared/golden")

/** Golden, if it is there, and our own scenarios. */
export const directories: ReadonlyArray<string> = [goldenDir, join(import.meta.dirname, "../../conformance")]
  .filter((dir) => existsSync(join(dir, "scenarios")))

export const scenarios = (dir: string): ReadonlyArray<string> =>
  readdirSync(join(dir, "scenarios")).filter((f) => f.endsWith(".sql")).map((f) => f.slice(0, -4)).toSorted()

export interface Server {
  readonly port: number
  readonly bin: string
}

/** psql as the golden runs used it: it goes on after an error. The port of golden's dblink lines becomes ours. */
export const runSql = (server: Server, database: string, sql: string): void => {
  const psql = join(server.bin, "psql")
  execFileSync(existsSync(psql) ? psql : "psql", ["-X", "-q", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", database, "-f", "-"], {
    encoding: "utf8",
    input: sql.replaceAll("port=55432", `port=${server.port}`),
    stdio: ["pipe", "pipe", "pipe"],
    maxBuffer: 1 << 28
  })
}

/** The same, beside others. */
export const runSqlAsync = (server: Server, database: string, sql: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const psql = join(server.bin, "psql")
    const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", database, "-c", sql]
    execFile(existsSync(psql) ? psql : "psql", args, (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })

export const scenarioSql = (dir: string, name: string): string => readFileSync(join(dir, "scenarios", `${name}.sql`), "utf8")

/** Schema, event triggers, publication, and a slot for each plugin, named `<plugin>_<database>`. */
export const prepare = (url: string, slots: ReadonlyArray<{ readonly name: string; readonly plugin: Plugin }>) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(url), "golden", 1)
    yield* MigrationsSource.run(sql)
    yield* MigrationsSource.installTriggers(sql)
    yield* sql`CREATE PUBLICATION pgstream FOR ALL TABLES`
    for (const { name, plugin } of slots) {
      if (plugin === "wal2json") yield* sql.unsafe("SET output_plugin_libraries = pgoutput, test_decoding, wal2json").pipe(Effect.ignore)
      yield* sql`SELECT slot_name::text FROM pg_create_logical_replication_slot(${name}, ${plugin})`
    }
  }).pipe(Effect.scoped)

const options: Record<Plugin, string> = {
  pgoutput: "'proto_version', '1', 'publication_names', 'pgstream'",
  wal2json: "'format-version', '2', 'include-timestamp', '1', 'include-lsn', '1', 'include-transaction', '1', 'include-types', '1', 'include-xids', '1'"
}

/** What the slot holds, decoded; the slot keeps it. */
export const decode = (url: string, slot: string, plugin: Plugin) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(url), "golden", 1)
    yield* sql.unsafe("SET search_path = public")
    yield* sql.unsafe("SET lc_monetary = 'C'")
    yield* sql.unsafe("SET output_plugin_libraries = pgoutput, test_decoding, wal2json").pipe(Effect.ignore)
    const [server] = yield* sql<{ readonly messages: boolean }>`SELECT current_setting('server_version_num')::int >= 140000 AS messages`
    const messages = plugin === "pgoutput" && server?.messages === true ? ", 'messages', 'true'" : ""
    const rows = yield* sql.unsafe<{ readonly lsn: string; readonly data: string }>(
      `SELECT lsn::text AS lsn, encode(data, 'hex') AS data FROM pg_logical_slot_peek_binary_changes('${slot}', NULL, NULL, ${options[plugin]}${messages})`)
    const decoder = Decoder.make(plugin, { maxFrameBytes: 1 << 28 })
    const items: Array<Item> = []
    for (const { data, lsn } of rows) {
      const bytes = Buffer.from(data, "hex")
      decoder.push({ keepalive: false, lsn: Result.getOrThrow(Lsn.parse(lsn)), bytes, start: 0, end: bytes.length }, items)
    }
    return items
  }).pipe(Effect.scoped)

export interface Sent {
  readonly id: string
  readonly body: string
  readonly shape: TableShape | undefined
}

export interface Outcome {
  readonly sent: ReadonlyArray<Sent>
  readonly deltas: ReadonlyArray<ShapesDelta>
}

const nothing: ShapesSnapshot = { tables: [], versions: [] }

/** Through TableShapes, Injector and Body, in chunks of `size` items. Definitions and marks are consumed, as the Dispatcher does. */
export const deliver = (items: ReadonlyArray<Item>, injector: "on" | "off", size = 7, from = nothing): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const shapes = yield* (yield* TableShapes).open(from)
    const { inject } = yield* Injector
    const writer = new BodyWriter()
    const sent: Array<Sent> = []
    const deltas: Array<ShapesDelta> = []
    for (let i = 0; i < items.length; i += size) {
      const chunk: Chunk = { items: items.slice(i, i + size), bytes: 0 }
      const out = yield* inject(yield* shapes.advance(chunk), shapes)
      for (const item of out.items) {
        if (item._tag === "Commit" && item.shapes !== undefined) deltas.push(item.shapes)
        if (item._tag === "Undecodable") sent.push({ id: `undecodable ${item.ordinal}`, body: item.reason, shape: undefined })
        if (item._tag === "Change") {
          sent.push({ id: EventId.of(item), body: Buffer.from(writer.write(item)).toString("utf8"), shape: item.shape })
        }
      }
    }
    return { sent, deltas }
  }).pipe(
    Effect.provide(Layer.mergeAll(TableShapesLive.layer, injector === "on" ? InjectorLive.layer : InjectorNone.layer)),
    Effect.orDie
  )

/** The `Data` of a payload. */
export const dataOf = (body: string): Data => (JSON.parse(body) as { Data: Data }).Data
