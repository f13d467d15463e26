/**
 * The heartbeat on Postgres: a transactional logical message with the prefix `pgstream`; where pgoutput does not
 * carry messages (13), a new row of `pgstream.marks` in place of the one before.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SourceError } from "../../../services/ChangeSource.ts"
import { Heartbeat } from "../../../services/Heartbeat.ts"
import { SourceSettings } from "../../../services/Settings.ts"
import { SourceSql } from "../Sql.ts"

const failed = (cause: unknown) =>
  new SourceError({
    code: "HeartbeatFailed",
    permanent: false,
    summary: "Cannot write the heartbeat.",
    mend: "",
    cause
  })

export const layer: Layer.Layer<Heartbeat, never, SourceSql | SourceSettings> = Layer.effect(
  Heartbeat,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings

    const behindBytes = Effect.map(
      sql<{ readonly behind: number }>`
        SELECT (pg_current_wal_flush_lsn() - confirmed_flush_lsn)::float8 AS behind
        FROM pg_replication_slots WHERE slot_name = ${slotName}`,
      ([row]) => row?.behind ?? 0
    ).pipe(Effect.mapError(failed))

    const mark = sql.withTransaction(
      Effect.andThen(
        sql`DELETE FROM pgstream.marks WHERE kind = 'heartbeat'`,
        sql`INSERT INTO pgstream.marks (kind) VALUES ('heartbeat')`
      )
    )

    const beat = Effect.gen(function*() {
      const [row] = yield* sql<{ readonly messages: boolean }>`
        SELECT current_setting('server_version_num')::int >= 140000 OR plugin = 'wal2json' AS messages
        FROM pg_replication_slots WHERE slot_name = ${slotName}`
      if (row?.messages === true)
        yield* sql`SELECT pg_logical_emit_message(true, 'pgstream', 'heartbeat')::text`
      else if (row !== undefined) yield* mark
    }).pipe(Effect.mapError(failed))

    return Heartbeat.of({ behindBytes, beat })
  })
)
