/** How far the stream is behind: the end of the source's WAL, less what the Listener handed on. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Lsn from "../../domain/Lsn.ts"
import { Listener } from "../../services/Listener.ts"
import { StreamBehind } from "../../services/StreamBehind.ts"
import { SourceSql } from "./Sql.ts"

export const layer: Layer.Layer<never, never, SourceSql | Listener> = Layer.effect(
  StreamBehind,
  Effect.gen(function*() {
    const sql = yield* SourceSql
    const listener = yield* Listener
    const walEnd = sql<{ readonly lsn: string }>`SELECT pg_current_wal_lsn()::text AS lsn`.pipe(
      Effect.map((rows) => Result.getOrUndefined(Lsn.parse(rows[0]?.lsn ?? ""))),
      Effect.catch(() => Effect.succeed(undefined))
    )
    const bytes = Effect.gen(function*() {
      const { receivedLsn } = yield* listener.state
      const end = receivedLsn === Lsn.zero ? undefined : yield* walEnd
      return end === undefined ? undefined : Math.max(end - receivedLsn, 0)
    })
    return { bytes }
  })
)
