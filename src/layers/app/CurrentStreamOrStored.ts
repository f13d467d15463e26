/**
 * The stream of the commands for operators. The source names it. Where that does not answer the store does, if it knows
 * one stream of this slot alone. Asked once, when a command needs it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StreamId } from "../../domain/StreamId.ts"
import { CurrentStream, CurrentStreamError } from "../../services/CurrentStream.ts"
import * as SlotSource from "../postgres/replication/SlotSource.ts"
import * as Sql from "../postgres/Sql.ts"
import type { AppSettings } from "../settings/Resolve.ts"

/** A host that swallows what is sent to it: the store's answer is not waited for as long as a connection may take. */
const SOURCE_LIMIT = "5 seconds"

export const layer = (settings: AppSettings): Layer.Layer<CurrentStream, never, Sql.StoreSql> =>
  Layer.effect(CurrentStream, Effect.gen(function*() {
    const sql = yield* Sql.StoreSql
    const { slotName } = settings.source
    const stored = Effect.map(
      sql<{ readonly system: string }>`
        SELECT split_part(stream, '/', 1) AS system FROM pgstream.checkpoint WHERE split_part(stream, '/', 2) = ${slotName}`,
      (rows) => (rows.length === 1 ? { systemIdentifier: rows[0]!.system, slotName } : undefined)
    )
    const storedOr = <E>(otherwise: Effect.Effect<StreamId, E>) =>
      Effect.flatMap(Effect.orElseSucceed(stored, () => undefined), (found) =>
        found === undefined ? otherwise : Effect.succeed(found))
    const asked = SlotSource.identify(settings.source)
    const identify = asked.pipe(
      Effect.catch((error) => storedOr(Effect.fail(error))),
      Effect.timeoutOrElse({ duration: SOURCE_LIMIT, orElse: () => storedOr(asked) }),
      Effect.mapError((cause) => new CurrentStreamError({ cause }))
    )
    return { identify: yield* Effect.cached(identify) }
  }))
