/** Asks the source for the reader of the slot. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SourceSettings } from "../../services/Settings.ts"
import { StreamFollowed } from "../../services/StreamFollowed.ts"
import { SourceSql } from "./Sql.ts"

export const layer: Layer.Layer<StreamFollowed, never, SourceSql | SourceSettings> = Layer.effect(
  StreamFollowed,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const { slotName } = yield* SourceSettings
    const now = sql<{ readonly active: boolean }>`
      SELECT active FROM pg_replication_slots WHERE slot_name = ${slotName} AND database = current_database()`.pipe(
      Effect.map(([slot]) => slot === undefined ? "no slot" as const : slot.active ? "followed" as const : "idle" as const),
      Effect.catch(() => Effect.succeed("unknown" as const))
    )
    return StreamFollowed.of({ now })
  })
)
