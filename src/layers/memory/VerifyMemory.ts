/**
 * Same contract as `VerifyPg`; `test/suites/VerifySuite.ts` runs against both. On the rows, segments, ranges and log of the
 * memory layers; how many numbers were given under which epoch, and an endpoint's URL, is the caller's to say.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ranges from "../../domain/Ranges.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import type { EndpointId } from "../../domain/Subscription.ts"
import type { AccountState } from "../../domain/Verify.ts"
import type { EndpointCount } from "../../services/Checkpoint.ts"
import { Segments } from "../../services/Segments.ts"
import { SequenceRanges } from "../../services/SequenceRanges.ts"
import { type KnownEndpoint, Verify, VerifyError } from "../../services/Verify.ts"
import { LogTables, tables as logTables } from "./DeliveryLogMemory.ts"
import { endpointsOf, layer as parkedTables, ParkedTables } from "./ParkedTables.ts"

export const layer = (
  counts: (stream: StreamId) => ReadonlyMap<EndpointId, EndpointCount>, urlOf: (endpoint: EndpointId) => string = () => ""
): Layer.Layer<Verify, never, Segments | SequenceRanges> =>
  Layer.effect(Verify, Effect.gen(function*() {
    const tables = yield* ParkedTables
    const log = yield* LogTables
    const segments = yield* Segments
    const recorded = yield* SequenceRanges
    return Verify.of({
      known: Effect.fnUntraced(function*(stream, endpoint) {
        const found: Array<KnownEndpoint> = []
        for (const [endpointId, { count, epoch }] of [...counts(stream)].sort(([a], [b]) => (a < b ? -1 : 1))) {
          if (count === 0 || (endpoint !== undefined && endpoint !== endpointId)) continue
          const accepted = (log.successes.get(`${format(stream)} ${endpointId}`) ?? []).toReversed()
            .filter((each) => each.epoch === epoch && each.sequence >= 1 && each.sequence <= count)
          const behind = yield* segments.numbers(stream, endpointId)
          const rows = [...endpointsOf(tables, stream).get(endpointId)?.values() ?? []].filter(({ sequence }) => sequence > 0)
          const ranges = yield* recorded.list(stream, endpointId)
          const isOf = (row: { readonly epoch: string }) => row.epoch === epoch || row.epoch === ""
          const numbers = (state: AccountState) => Ranges.fromRanges([
            ...(state === "waiting" ? behind.filter(isOf) : []),
            ...rows.filter((row) => row.state === state && isOf(row)).map(({ sequence }) => ({ first: sequence, last: sequence })),
            ...ranges.filter((range) => range.epoch === epoch && range.state === state)
          ].map(({ first, last }) => ({ first, last })))
          const earlier = behind.filter((range) => !isOf(range)).reduce((sum, { first, last }) => sum + last - first + 1, 0)
          found.push({
            endpointId, epoch, url: urlOf(endpointId), given: count, accepted: accepted.map(({ id, sequence }) => ({ id, sequence })),
            earlier: earlier + rows.filter((row) => !isOf(row)).length,
            accounts: {
              waiting: numbers("waiting"), dead: numbers("dead"), suspended: numbers("suspended"), withdrawn: numbers("withdrawn"),
              purged: numbers("purged")
            }
          })
        }
        return found
      }, Effect.mapError((cause) => new VerifyError({ unavailable: false, cause })))
    })
  })).pipe(Layer.provide(Layer.mergeAll(parkedTables, logTables)))
