/** `TableSnapshot` on the source database. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import { nameOf, type TableName } from "../../../domain/copy/Copy.ts"
import * as SnapshotText from "../../../domain/copy/SnapshotText.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import { literal } from "../../../domain/SqlText.ts"
import { format, type StreamId } from "../../../domain/StreamId.ts"
import type { ShapesSnapshot } from "../../../domain/TableShape.ts"
import { CopySettings } from "../../../services/CopySettings.ts"
import { SourceSettings, StoreSettings } from "../../../services/Settings.ts"
import { type ReadTable, type TableReader, TableReaderError } from "../../../services/TableReader.ts"
import { type LocalWriter, type OpenSnapshot, TableSnapshot } from "../../../services/TableSnapshot.ts"
import * as Bounds from "../copy/Bounds.ts"
import { query } from "../copy/Connections.ts"
import * as Entries from "../copy/Entries.ts"
import { type KnownRelations, type PluginTraits, readWithin } from "../copy/ReadTransaction.ts"
import { isMoved } from "../copy/readerErrors.ts"
import * as Statements from "../copy/Statements.ts"
import { ROW_OVERHEAD_BYTES, tableOf } from "../copy/TableReaderPg.ts"
import { parseTarget } from "../replication/createSlot.ts"
import type { Session } from "../replication/Session.ts"
import * as SetupState from "../setup/SetupState.ts"
import { sourceStream } from "../sourceStream.ts"
import { SourceSql } from "../Sql.ts"
import { isUnavailable, withoutValues } from "../store/StoreRetry.ts"
import * as Sessions from "./SnapshotSessions.ts"

const refused = (summary: string, kind: TableReaderError["kind"] = "refused") => new TableReaderError({ kind, summary })

const notAnswered = (cause: SqlError) => {
  const seen = withoutValues(cause).message
  return isUnavailable(cause) ? refused(`the source does not answer: ${seen}`, "lost") : refused(`the source refused: ${seen}`)
}

/** Of the database: a table that another process of ours works on is not read twice. */
const CLAIM = (stream: StreamId) => `SELECT pg_try_advisory_lock(hashtext('pgstream snapshot'), hashtext(${literal(format(stream))}))::text AS got`

const EXPORT = `
  SELECT pg_export_snapshot() AS name, pg_current_snapshot()::text AS snapshot, now.at::text AS at,
         ((extract(epoch FROM now.at) * 1000000)::bigint - 946684800000000)::text AS us,
         (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn,
         current_setting('server_version_num') AS version
    FROM (SELECT clock_timestamp() AS at) now`

/** A stream of this database, whoever reads it, writes the schema log. */
const WRITER = `
  SELECT EXISTS (SELECT FROM pgstream.streams s JOIN pg_replication_slots r ON r.slot_name = s.slot_name
    WHERE r.database = current_database())::text AS there`

const findAll = (session: Session, names: ReadonlyArray<TableName>) =>
  Effect.gen(function*() {
    const found = new Map<string, ReadonlyArray<ReadTable>>()
    for (const name of names) {
      if (found.has(nameOf(name))) continue
      found.set(nameOf(name), (yield* query(session, Statements.findTables(Statements.isNamed(name)))).map(tableOf))
    }
    return found
  })

const byOid = (found: ReadonlyMap<string, ReadonlyArray<ReadTable>>) =>
  new Map([...found.values()].flat().map((table) => [table.oid, table]))

export const layer: Layer.Layer<TableSnapshot, TableReaderError, SourceSettings | StoreSettings | SourceSql> = Layer.effect(
  TableSnapshot,
  Effect.gen(function*() {
    const settings = yield* SourceSettings
    const { inSource } = yield* StoreSettings
    const { connections: count } = yield* CopySettings
    const sql = yield* SourceSql
    const maxRowBytes = settings.maxFrameBytes + ROW_OVERHEAD_BYTES
    const target = yield* Effect.mapError(parseTarget(settings.url), (cause) => refused(cause.summary))
    const openSession = Sessions.open({ target, timezone: settings.timezone, maxRowBytes })

    const stream = Effect.mapError(sourceStream(sql, settings.slotName), notAnswered)

    const readShapes = (snapshotName: string): Effect.Effect<ShapesSnapshot, TableReaderError> =>
      SetupState.read(sql, snapshotName, inSource).pipe(
        Effect.map(({ shapes }) => shapes),
        Effect.mapError((cause) => refused(`the tables cannot be read as they are: ${withoutValues(cause)}`, "lost"))
      )

    /** For who reads in the snapshot; what is asked of the newest state goes over `sql`. */
    const readerOf = (
      within: Sessions.Within, local: LocalWriter, shapes: ShapesSnapshot, traits: PluginTraits, makesEntries: boolean,
      found: ReadonlyMap<string, ReadonlyArray<ReadTable>>, snapshot: SnapshotText.SnapshotText
    ): TableReader["Service"] => {
      const known: KnownRelations = new Map()
      const tables = byOid(found)
      const moved = within.lose(refused("a table or its schema was renamed", "lost"))
      const entry = (id: string) =>
        Effect.map(within.with((session) => query(session, Entries.select(id))), ([row]) => row === undefined ? undefined : Entries.of(row))
      const logged = (schema: string) =>
        Effect.gen(function*() {
          const version = shapes.versions.find((one) => one.schema === schema)
          const newest = version === undefined ? undefined : yield* entry(version.entryId)
          if (newest !== undefined) yield* local.entry(newest)
        })
      const made = (schema: string) =>
        sql<{ readonly id: string; readonly at: string }>`SELECT pgstream.xid()::text AS id, now()::text AS at`.pipe(
          Effect.mapError(notAnswered),
          Effect.flatMap(([row]) => local.refresh({ schema, entryId: row!.id, at: row!.at }))
        )
      return {
        tables: (name) => Effect.succeed(found.get(nameOf(name)) ?? []),
        table: (oid) => Effect.succeed(tables.get(oid)),
        bound: (table, key, from, to, rows) =>
          within.with((session) => Bounds.find(session, table, key, from, to, rows)).pipe(
            Effect.catch((error) => isMoved(error) ? moved : Effect.fail(error))),
        read: (request) =>
          within.with((session) => readWithin(session, request, traits, known, maxRowBytes)).pipe(
            Effect.catch((error) => isMoved(error) ? Effect.succeed("moved" as const) : Effect.fail(error)),
            Effect.flatMap((outcome) => outcome === "moved" ? moved : Effect.as(local.mark(request.highMark), outcome))),
        mark: local.mark,
        snapshot: Effect.succeed(snapshot),
        committing: Effect.succeed([]),
        entry,
        refreshSchema: (schema) => makesEntries ? made(schema) : logged(schema)
      }
    }

    const open = Effect.fnUntraced(function*(names: ReadonlyArray<TableName>, local: LocalWriter) {
      const first = yield* openSession
      const [claim] = yield* query(first, CLAIM(yield* stream))
      if (claim?.["got"] !== "true") return yield* refused("another process works on copies of this stream without a slot", "locked")
      const wanted = byOid(yield* findAll(first, names))
      yield* Sessions.begin(first)
      const locked = yield* Sessions.lockAll(first, [...wanted.values()])
      const [row] = yield* query(first, EXPORT)
      const lsn = Lsn.parse(row?.["lsn"] ?? "")
      const snapshot = SnapshotText.parse(row?.["snapshot"] ?? "")
      if (row === undefined || Result.isFailure(lsn) || snapshot === undefined) return yield* refused("the server's snapshot cannot be read")
      const found = yield* findAll(first, names)
      if ([...byOid(found).keys()].some((oid) => !wanted.has(oid))) return yield* refused("a table came while the tables were being locked", "locked")
      const name = row["name"] ?? ""
      const readers = yield* Effect.forEach(Array.from({ length: count }), () =>
        Effect.gen(function*() {
          const session = yield* openSession
          yield* Sessions.join(session, name)
          yield* Sessions.lockAll(session, locked)
          return session
        }))
      const [writer] = yield* query(first, WRITER)
      const makesEntries = writer?.["there"] !== "true"
      const shapes = yield* readShapes(name)
      const within = yield* Sessions.make(first, readers)
      const traits: PluginTraits = { plugin: "pgoutput", messages: true, generated: Number(row["version"]) >= 180_000 }
      const opened: OpenSnapshot = {
        place: { lsn: lsn.success, timeUs: Number(row["us"]), timestamp: row["at"] ?? "" },
        shapes,
        reader: readerOf(within, local, shapes, traits, makesEntries, found, snapshot),
        lost: within.lost,
        makesEntries
      }
      return opened
    })

    return TableSnapshot.of({ stream, open })
  })
)
