/**
 * `CopyRequests` in the source database: `pgstream.copies`, `copy_tables`, `copy_keys`, and beside them
 * `snapshot_requests`. Rows belong to a stream: a restored copy of the database does not go on with copies of the original.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { after, type CopyId, isOver } from "../../../domain/copy/Copy.ts"
import { decide, superfluous } from "../../../domain/copy/create.ts"
import { format } from "../../../domain/StreamId.ts"
import { CopyIsOver, CopyRequests, CopyRequestsError, CopyUnknown, type OpenCopy, type PendingKey } from "../../../services/CopyRequests.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { sourceStream } from "../sourceStream.ts"
import { SourceSql } from "../Sql.ts"
import { whileAway, withoutValues } from "../store/StoreRetry.ts"
import { type CopyRow, ofRow, selectCopies } from "./CopyRow.ts"
import * as SnapshotRequests from "./SnapshotRequests.ts"

const asJson = (keys: ReadonlyArray<PendingKey>): string =>
  JSON.stringify(keys.map(({ copy, key, oid }) => ({ copy, oid, key })))

export const layer: Layer.Layer<CopyRequests, never, SourceSql | SourceSettings> = Layer.effect(
  CopyRequests,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings

    const failing = (operation: string) => <A, R>(effect: Effect.Effect<A, SqlError, R>) =>
      Effect.mapError(effect, (cause) => new CopyRequestsError({ operation, cause: withoutValues(cause) }))

    const stream = Effect.map(sourceStream(sql, slotName), format)

    const select = (condition: string, parameters: ReadonlyArray<unknown> = []) =>
      Effect.flatMap(stream, (id) =>
        Effect.map(sql.unsafe<CopyRow>(selectCopies(condition), [id, ...parameters]), (rows) => rows.map(ofRow)))

    const insert = Effect.fnUntraced(function*(spec: Parameters<CopyRequests["Service"]["create"]>[0]) {
      const key = yield* stream
      yield* sql`SELECT pg_advisory_xact_lock(hashtext('pgstream copies'), hashtext(${key}))`
      const known = (yield* select("")).map(({ copy }) => copy)
      const { goesOn, skipped, tables } = decide(spec, known, yield* SnapshotRequests.copiedBefore(sql))
      if (tables.length === 0) return { copy: goesOn, skipped }
      yield* SnapshotRequests.trim(sql, superfluous(known))
      const [row] = yield* sql<{ readonly id: string }>`
        INSERT INTO pgstream.copies (stream, subscription, tables, condition, mode, repeatable, state)
        VALUES (${key}, ${spec.subscription ?? null}::text::uuid, ${JSON.stringify(tables)}::text::jsonb,
          ${spec.where ?? null}::text, ${spec.mode}, ${spec.repeatable}, 'requested')
        RETURNING id::text AS id`
      if (spec.subscription === undefined) yield* SnapshotRequests.mirror(sql, row!.id, "requested", undefined)
      const [made] = yield* select("AND c.id = $2::text::bigint", [row!.id])
      return { copy: made!.copy, skipped }
    })

    /** Values of users' rows: nobody reads them again. Behind the state, which keeps `addPending` out. */
    const forgetKeys = (id: CopyId) => sql`DELETE FROM pgstream.copy_keys WHERE copy_id = ${id}::text::bigint`

    const get = Effect.fnUntraced(function*(id: CopyId) {
      const [found] = /^\d{1,18}$/.test(id) ? yield* select("AND c.id = $2::text::bigint", [id]).pipe(failing("read copies")) : []
      if (found === undefined) return yield* new CopyUnknown({ id })
      return found.copy
    })

    const steer = (wish: "pause" | "resume" | "cancel") => Effect.fnUntraced(function*(id: CopyId) {
      const copy = yield* get(id)
      const state = after(copy.state, wish)
      if (state === undefined) return yield* new CopyIsOver({ id, state: copy.state as CopyIsOver["state"] })
      yield* Effect.gen(function*() {
        yield* sql`
          UPDATE pgstream.copies SET state = ${state}, updated_at = clock_timestamp()
           WHERE id = ${id}::text::bigint AND state IN ('requested', 'running', 'paused')`
        if (state !== "cancelled") return
        yield* forgetKeys(id)
        yield* SnapshotRequests.mirror(sql, id, "completed", "cancelled")
      }).pipe(sql.withTransaction, failing(`${wish} a copy`))
      return yield* get(id)
    })

    return CopyRequests.of({
      create: (spec) => insert(spec).pipe(sql.withTransaction, failing("ask for a copy")),
      list: Effect.map(select(""), (found) => found.map(({ copy }) => copy).toReversed()).pipe(failing("read copies")),
      get,
      pause: steer("pause"),
      resume: steer("resume"),
      cancel: steer("cancel"),
      open: Effect.gen(function*() {
        const found = yield* select("AND c.state IN ('requested', 'running', 'paused')")
        if (found.length === 0) return []
        const keys = yield* sql<{ readonly copy: string; readonly oid: string; readonly key: string }>`
          SELECT copy_id::text AS copy, oid::text AS oid, key::text AS key FROM pgstream.copy_keys
           WHERE copy_id = ANY (${found.map(({ copy }) => copy.id)}::text[]::bigint[])`
        const pending = keys.map(({ copy, key, oid }): PendingKey => ({ copy, oid: Number(oid), key: JSON.parse(key) as Array<string> }))
        return found.map(({ copy, tables }): OpenCopy => ({ copy, tables, pending: pending.filter((each) => each.copy === copy.id) }))
      }).pipe(failing("read copies")),
      setState: (id, state, error) =>
        Effect.gen(function*() {
          const changed = yield* sql`
            UPDATE pgstream.copies SET state = ${state}, error = coalesce(${error ?? null}::text, error), updated_at = clock_timestamp()
             WHERE id = ${id}::text::bigint AND state IN ('requested', 'running') RETURNING 1`
          if (changed.length === 0) return
          if (isOver(state)) yield* forgetKeys(id)
          yield* SnapshotRequests.mirror(sql, id, state === "running" ? "in progress" : "completed", error)
        }).pipe(sql.withTransaction, whileAway("keep the state of a copy"), failing("keep the state of a copy")),
      saveTables: (id, tables) =>
        tables.length === 0 ? Effect.void : sql`
          INSERT INTO pgstream.copy_tables AS t
            (copy_id, oid, schema_name, table_name, state, filenode, done_through, rows, bytes, total_rows, total_bytes, error)
          SELECT ${id}::text::bigint, r.oid, r.schema, r."table", r.state, r.filenode, r."doneThrough", r.rows, r.bytes, r."totalRows", r."totalBytes", r.error
            FROM jsonb_to_recordset(${JSON.stringify(tables)}::text::jsonb) AS r(oid bigint, schema text, "table" text, state text,
              filenode bigint, "doneThrough" jsonb, rows bigint, bytes bigint, "totalRows" bigint, "totalBytes" bigint, error text)
           WHERE EXISTS (SELECT FROM pgstream.copies WHERE id = ${id}::text::bigint)
          ON CONFLICT (copy_id, oid) DO UPDATE SET schema_name = excluded.schema_name, table_name = excluded.table_name,
            state = excluded.state, filenode = excluded.filenode, done_through = excluded.done_through, rows = excluded.rows,
            bytes = excluded.bytes, total_rows = excluded.total_rows, total_bytes = excluded.total_bytes, error = excluded.error`.pipe(
          whileAway("keep how far a copy is"), failing("keep how far a copy is"), Effect.asVoid),
      addPending: (keys) =>
        keys.length === 0 ? Effect.void : sql`
          WITH k AS (SELECT * FROM jsonb_to_recordset(${asJson(keys)}::text::jsonb) AS k(copy bigint, oid bigint, key jsonb)),
          open AS (
            SELECT c.id FROM pgstream.copies c
             WHERE c.id IN (SELECT copy FROM k) AND c.state IN ('requested', 'running', 'paused') FOR SHARE)
          INSERT INTO pgstream.copy_keys (copy_id, oid, key)
          SELECT k.copy, k.oid, k.key FROM k JOIN open ON open.id = k.copy
          ON CONFLICT DO NOTHING`.pipe(whileAway("keep keys of a copy"), failing("keep keys of a copy"), Effect.asVoid),
      removePending: (keys) =>
        keys.length === 0 ? Effect.void : sql`
          DELETE FROM pgstream.copy_keys d USING jsonb_to_recordset(${asJson(keys)}::text::jsonb) AS k(copy bigint, oid bigint, key jsonb)
           WHERE d.copy_id = k.copy AND d.oid = k.oid AND d.key = k.key`.pipe(
          whileAway("keep keys of a copy"), failing("keep keys of a copy"), Effect.asVoid)
    })
  })
)
