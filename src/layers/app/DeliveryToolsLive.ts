/** Deliveries for the commands of operators, on the store's database, with or without a service beside them. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StreamId } from "../../domain/StreamId.ts"
import { CurrentStream, CurrentStreamError } from "../../services/CurrentStream.ts"
import * as SlotSource from "../postgres/replication/SlotSource.ts"
import * as Sql from "../postgres/Sql.ts"
import * as DeliveryAdminPg from "../postgres/store/DeliveryAdminPg.ts"
import * as DeliveryCommandsPg from "../postgres/store/DeliveryCommandsPg.ts"
import * as SegmentsPg from "../postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../postgres/store/SequenceRangesPg.ts"
import * as VerifyPg from "../postgres/store/VerifyPg.ts"
import type { AppSettings } from "../settings/Resolve.ts"

/** The source names the stream. Where it does not answer, the store does, if it knows one stream of this slot alone. */
const current = (settings: AppSettings) =>
  Layer.effect(CurrentStream, Effect.gen(function*() {
    const sql = yield* Sql.StoreSql
    const { slotName } = settings.source
    const stored = Effect.map(
      sql<{ readonly system: string }>`
        SELECT split_part(stream, '/', 1) AS system FROM pgstream.checkpoint WHERE split_part(stream, '/', 2) = ${slotName}`,
      (rows) => (rows.length === 1 ? { systemIdentifier: rows[0]!.system, slotName } : undefined)
    )
    const identify: Effect.Effect<StreamId, CurrentStreamError> = SlotSource.identify(settings.source).pipe(
      Effect.catch((cause) =>
        Effect.flatMap(Effect.orElseSucceed(stored, () => undefined), (found) =>
          found === undefined ? Effect.fail(new CurrentStreamError({ cause })) : Effect.succeed(found)))
    )
    return { identify: yield* Effect.cached(identify) }
  }))

export const layer = (settings: AppSettings) =>
  Layer.mergeAll(DeliveryAdminPg.layer, DeliveryCommandsPg.layer, VerifyPg.layer, current(settings)).pipe(
    Layer.provide(Layer.mergeAll(SegmentsPg.layer, SequenceRangesPg.layer))
  )
