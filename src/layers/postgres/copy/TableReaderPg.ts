/** `TableReader` on the source database, over connections of its own: as many as the settings say. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Bound } from "../../../domain/copy/Ranges.ts"
import * as SnapshotText from "../../../domain/copy/SnapshotText.ts"
import type { SchemaLogEntry } from "../../../domain/TableShape.ts"
import { CopySettings } from "../../../services/CopySettings.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { type ReadTable, TableReader, TableReaderError } from "../../../services/TableReader.ts"
import { literal } from "../replication/Checks.ts"
import { parseTarget } from "../replication/createSlot.ts"
import type { Row, Session } from "../replication/Session.ts"
import * as Connections from "./Connections.ts"
import { type KnownRelations, type PluginTraits, read } from "./ReadTransaction.ts"
import { isMoved } from "./readerErrors.ts"
import * as Statements from "./Statements.ts"

/** Ahead of `maxFrameBytes`: the row's version, pointer and lengths. */
const ROW_OVERHEAD_BYTES = 16 * 1024

/** Bytes of the table's file that one of its ranges has, where it has no key: about this many rows a page. */
const ROWS_PER_PAGE = 32

const tableOf = (row: Row): ReadTable => {
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

const pageOf = (bound: Bound): number | undefined => {
  const page = /^\((\d+),/.exec(bound?.[0] ?? "")?.[1]
  return page === undefined ? undefined : Number(page)
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

    /** The end of a page some pages on; `undefined`: the file ends before. */
    const pageBound = (session: Session, table: { readonly oid: number }, from: Bound, to: Bound, rows: number) =>
      Effect.map(
        Connections.query(session, `SELECT (pg_relation_size(${table.oid}::oid) / current_setting('block_size')::bigint)::text AS pages`),
        ([row]) => {
          const page = (pageOf(from) ?? 0) + Math.max(1, Math.ceil(rows / ROWS_PER_PAGE))
          return page >= Math.min(Number(row?.["pages"] ?? 0), pageOf(to) ?? Infinity) ? undefined : [`(${page},0)`]
        }
      )

    const typesOf = (session: Session, oid: number) =>
      Effect.map(Connections.query(session, Statements.describe(oid)), ([row]) =>
        new Map((JSON.parse(row?.["columns"] ?? "[]") as ReadonlyArray<ReadonlyArray<string>>).map((column) => [column[0]!, column[4]!])))

    return TableReader.of({
      tables: (name) => Effect.map(ask(Statements.findTables(Statements.isNamed(name))), (rows) => rows.map(tableOf)),
      table: (oid) => Effect.map(ask(Statements.findTables(`c.oid = ${oid}`)), (rows) => rows.map(tableOf).find((table) => table.oid === oid)),
      bound: (table, key, from, to, rows) =>
        connections.with((session) =>
          key.length === 0 ? pageBound(session, table, from, to, rows) : Effect.gen(function*() {
            const types = yield* typesOf(session, table.oid)
            if (!key.every((name) => types.has(name))) return undefined
            const columns = key.map((name) => ({ name, type: types.get(name)! }))
            const [row] = yield* Connections.query(session, Statements.selectBound(table, columns, from, to, rows))
            return row === undefined ? undefined : columns.map((_, i) => row[`k${i}`] ?? "")
          })),
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
          ask(`SELECT id::text AS id, version::text AS version, schema_name, schema::text AS json, created_at::text AS created_at
            FROM pgstream.schema_log WHERE id = ${literal(id)}`),
          ([row]): SchemaLogEntry | undefined => row === undefined ? undefined : {
            id,
            version: Number(row["version"]),
            schema: row["schema_name"] ?? "",
            json: row["json"] ?? "",
            createdAt: row["created_at"] ?? "",
            lsn: 0
          }
        ),
      refreshSchema: (schema) => Effect.asVoid(ask(`SELECT pgstream.refresh_schema(${literal(schema)})`))
    })
  })
)
