/** Which stream a slot of the source is: asked once, and again as long as there was no answer. */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { StreamId } from "../../domain/StreamId.ts"

export const sourceStream = (sql: SqlClient, slotName: string): Effect.Effect<StreamId, SqlError> => {
  let known: StreamId | undefined
  return Effect.suspend(() =>
    known !== undefined ? Effect.succeed(known) : Effect.map(
      sql<{ readonly id: string }>`SELECT system_identifier::text AS id FROM pg_control_system()`,
      (rows) => (known = { systemIdentifier: rows[0]!.id, slotName })
    )
  )
}
