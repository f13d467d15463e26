/**
 * Makes rows of `pgstream.webhook_deliveries` of all that waits in the segments of a stream, in its order: `init --adopt`
 * re-keys rows. Each segment is passed when its rows are there, so that it may be stopped and run again.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isErased, type SegmentEvent } from "../../../domain/Segment.ts"
import * as Stream from "../../../domain/StreamId.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import type { ParkedDelivery } from "../../../services/ParkedDeliveries.ts"
import { SecretSettings, type SecretSettingsShape } from "../../../services/Settings.ts"
import { StoreSql } from "../Sql.ts"
import * as ParkedDeliveriesPg from "./ParkedDeliveriesPg.ts"
import { defaultLimits } from "./SegmentLog.ts"
import * as SegmentsPg from "./SegmentsPg.ts"
import * as StreamWriters from "./StreamWriters.ts"

const rowOf = ({ targets, ...event }: SegmentEvent, endpointId: EndpointId, nowMs: number): ParkedDelivery => {
  const { epoch, keys, selectedBy, sequence } = targets[0]!
  return {
    ...event, endpointId, epoch, keys, selectedBy, sequence,
    attempts: 0, retries: 0, state: "waiting", dueAtMs: nowMs, lastError: undefined
  }
}

/** Answers how many rows there are more. `streams`: nobody may be writing for them. */
export const move = (store: PgClient.PgClient, secrets: SecretSettingsShape, streams: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const [segments, parked] = [yield* SegmentsPg.make(defaultLimits), yield* ParkedDeliveriesPg.make]
    const nowMs = yield* Clock.currentTimeMillis
    let moved = 0
    for (const stream of streams.map(Stream.parse)) {
      for (const { cursor, endpointId } of yield* segments.backlog(stream)) {
        for (let from = cursor; ;) {
          const segment = yield* segments.read(stream, endpointId, from)
          if (segment === undefined) break
          const events = segment.events.filter((event) => !isErased(event))
          yield* parked.write(stream, events.map((event) => rowOf(event, endpointId, nowMs)))
          moved += events.length
          from = { segment: segment.number + 1, index: 0 }
          yield* segments.pass(stream, new Map([[endpointId, from]]))
        }
      }
    }
    return moved
  }).pipe(
    Effect.scoped,
    Effect.provideService(StoreSql, store),
    Effect.provideService(SecretSettings, secrets),
    Effect.provide(StreamWriters.layer)
  )
