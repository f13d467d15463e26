/** `TableReader` on the source database, over connections of its own: as many as the settings say. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SnapshotText from "../../../domain/copy/SnapshotText.ts"
import { literal } from "../../../domain/SqlText.ts"
import { CopySettings } from "../../../services/CopySettings.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { type ReadTable, TableReader, TableReaderError } from "../../../services/TableReader.ts"
import { parseTarget } from "../replication/createSlot.ts"
import type { Row } from "../replication/Session.ts"
import * as Bounds from "./Bounds.ts"
import * as Connections from "./Connections.ts"
import * as Entries from "./Entries.ts"
import { type KnownRelations, type PluginTraits, read } from "./ReadTransaction.ts"
import { isMoved } from "./readerErrors.ts"
import * as Statements from "./Statements.ts"

/** Ahead of `maxFrameBytes`: the row's version, pointer and lengths. */
export const ROW_OVERHEAD_BYTES = 16 * 1024

export const tableOf = (row: Row): ReadTable => {
  const tuples = Number(row["tuples"])
  return {
    oid: Number(row["oid"]),
    schema: row["schema"] ?? "",
    table: row["name"] ?? "",
    filenode: Number(row["filenode"]),
    ddlInStream: row["in_stream"] === "true",
    totalRows: tuples > 0 ? tuples : undefined,
    totalBytes: Number(row["bytes"])
  }
}

const traitsOf = (slotName: string) => `
  SELECT s.plugin, current_setting('server_version_num') AS version,
         (SELECT to_jsonb(p) ->> 'pubgencols' FROM pg_publication p WHERE p.pubname = 'pgstream') AS generated
    FROM pg_replication_slots s WHERE s.slot_name = ${literal(slotName)}`

export const layer: Layer.Layer<TableReader, TableReaderError, SourceSettings> = Layer.effect(
  TableReader,
  Effect.gen(function*() {
    const settings = yield* SourceSettings
    const { connections: count } = yield* CopySettings
    const maxRowBytes = settings.maxFrameBytes + ROW_OVERHEAD_BYTES
    const target = yield* Effect.mapError(parseTarget(settings.url), (cause) => new TableReaderError({ kind: "refused", summary: cause.summary }))
    const connections = yield* Connections.make({ target, timezone: settings.timezone, maxRowBytes, connections: count })
    const known: KnownRelations = new Map()

    const ask = (sql: string) => connections.with((session) => Connections.query(session, sql))

    let traits: PluginTraits | undefined
    const traitsNow = Effect.suspend(() =>
      traits !== undefined ? Effect.succeed(traits) : Effect.map(ask(traitsOf(settings.slotName)), ([row]) => {
        const plugin = row?.["plugin"] === "wal2json" ? "wal2json" : "pgoutput"
        const made: PluginTraits = {
          plugin,
          messages: plugin === "wal2json" || Number(row?.["version"]) >= 140_000,
          generated: plugin === "pgoutput" && row?.["generated"] === "s"
        }
        if (row !== undefined) traits = made
        return made
      })
    )

    return TableReader.of({
      tables: (name) => Effect.map(ask(Statements.findTables(Statements.isNamed(name))), (rows) => rows.map(tableOf)),
      table: (oid) => Effect.map(ask(Statements.findTables(`c.oid = ${oid}`)), (rows) => rows.map(tableOf).find((table) => table.oid === oid)),
      bound: (table, key, from, to, rows) =>
        connections.with((session) => Bounds.find(session, table, key, from, to, rows)),
      read: (request) =>
        Effect.flatMap(traitsNow, (now) =>
          connections.with((session) => read(session, request, now, known, maxRowBytes))).pipe(
          Effect.catch((error) => isMoved(error) ? Effect.succeed("moved" as const) : Effect.fail(error))),
      mark: (id) =>
        Effect.flatMap(traitsNow, ({ messages }) =>
          Effect.asVoid(ask(messages ? Statements.writeMark(true, id) : `BEGIN; ${Statements.writeMark(false, id)}; COMMIT`))),
      snapshot: Effect.flatMap(ask("SELECT pg_current_snapshot()::text AS snapshot"), ([row]) => {
        const snapshot = SnapshotText.parse(row?.["snapshot"] ?? "")
        return snapshot === undefined
          ? Effect.fail(new TableReaderError({ kind: "refused", summary: "the server's snapshot cannot be read" }))
          : Effect.succeed(snapshot)
      }),
      committing: Effect.map(ask(Statements.committing), (rows) => rows.map((row) => Number(row["xid"]))),
      entry: (id) =>
        Effect.map(
          ask(Entries.select(id)), ([row]) => (row === undefined ? undefined : Entries.of(row))),
      refreshSchema: (schema) => Effect.asVoid(ask(`SELECT pgstream.refresh_schema(${literal(schema)})`))
    })
  })
)
