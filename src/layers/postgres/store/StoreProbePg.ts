/** Asks the store for nothing, on a connection of its pool. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { StoreProbe, StoreUnreachable } from "../../../services/StoreProbe.ts"
import { StoreSql } from "../Sql.ts"
import { withoutValues } from "./StoreRetry.ts"

export const layer: Layer.Layer<StoreProbe, never, StoreSql> = Layer.effect(
  StoreProbe,
  Effect.gen(function*() {
    const sql = yield* StoreSql
    return StoreProbe.of({
      reach: sql`SELECT`.pipe(Effect.mapError((error) => new StoreUnreachable({ cause: withoutValues(error) })), Effect.asVoid)
    })
  })
)
