/**
 * Endpoints in `pgstream.webhook_endpoints`, and what is paused for this stream in `pgstream.endpoint_streams`.
 * Read as a whole at the refresh interval, on a hint of our own statements, and when the stream says that
 * subscriptions changed; the hot path asks the map.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { KnownEndpoints } from "../../../domain/KnownEndpoints.ts"
import * as StreamId from "../../../domain/StreamId.ts"
import type { Endpoint, EndpointId } from "../../../domain/Subscription.ts"
import { Endpoints, EndpointsError } from "../../../services/Endpoints.ts"
import { Listener } from "../../../services/Listener.ts"
import { NotifierSettings, SecretSettings, StoreSettings } from "../../../services/Settings.ts"
import * as EndpointRow from "./EndpointRow.ts"
import { mend } from "./EndpointsPgMend.ts"
import { untilVisible } from "./EndpointsPgVisible.ts"
import { StoreSql } from "../Sql.ts"
import { Seals } from "./Seals.ts"
import * as StoreHints from "./StoreHints.ts"
import { whileAway, withoutValues } from "./StoreRetry.ts"

/** The stream has a row a moment before other sessions see it: one more look after this. */
const SECOND_LOOK = "1 second"

/** `identify`: which stream's pauses hold. Asked until it answers; once is enough. */
export const make = <E>(identify: Effect.Effect<StreamId.StreamId, E>) =>
  Effect.gen(function*() {
    const sql = yield* StoreSql
    const { hints } = yield* StoreHints.StoreHints
    const { refreshIntervalMs } = yield* StoreSettings
    const { concurrency } = yield* NotifierSettings
    const known = new KnownEndpoints()
    const wakes = yield* Queue.sliding<void>(1)
    let stream: string | undefined
    const seals = new Seals(yield* SecretSettings)
    const unreadable = new Set<EndpointId>()
    let lookTwice = false

    const streamName = Effect.suspend(() => {
      if (stream !== undefined) return Effect.succeed(stream)
      return Effect.map(identify, (id) => (stream = StreamId.format(id)))
    })

    const endpointOf = (row: EndpointRow.EndpointRow): Endpoint =>
      EndpointRow.endpointOf(seals, concurrency, row, known.get(row.id))

    /** Said once, as long as it is so. */
    const sayUnreadable = Effect.fnUntraced(function*(endpoint: Endpoint) {
      if (endpoint.unreadable !== true) return void unreadable.delete(endpoint.id)
      if (unreadable.has(endpoint.id)) return
      unreadable.add(endpoint.id)
      yield* Effect.logError("An endpoint's secrets do not open: its events are parked.").pipe(
        Effect.annotateLogs({ endpointId: endpoint.id, reason: endpoint.pausedReason })
      )
    })

    const asError = (error: SqlError) => new EndpointsError({ cause: withoutValues(error) })
    const identified = Effect.mapError(streamName, (cause) => new EndpointsError({ cause }))

    const refresh = Effect.gen(function*() {
      const name = yield* identified
      yield* mend(sql).pipe(whileAway("endpoints refresh"), Effect.mapError(asError))
      const rows = yield* EndpointRow.select(sql, name, undefined).pipe(
        whileAway("endpoints refresh"),
        Effect.mapError(asError)
      )
      const endpoints = rows.map(endpointOf)
      known.replaceAll(endpoints)
      yield* Effect.forEach(endpoints, sayUnreadable, { discard: true })
    })

    const fetch = Effect.fn("Endpoints.fetch")(function*(id: EndpointId) {
      const name = yield* identified
      const look = Effect.map(EndpointRow.select(sql, name, id), (rows) => rows[0]).pipe(whileAway("endpoints fetch"))
      const seen = yield* Effect.mapError(untilVisible(sql, look), asError)
      // Absent while a subscription names it: what it would be sent is not to be withdrawn.
      const mended = mend(sql).pipe(whileAway("endpoints fetch"), Effect.andThen(look), Effect.mapError(asError))
      const row = seen ?? (yield* mended)
      known.set(id, row === undefined ? undefined : endpointOf(row))
      return known.get(id)
    })

    const loop = Effect.gen(function*() {
      yield* Effect.timeoutOption(Queue.take(wakes), refreshIntervalMs)
      yield* refresh
      if (!lookTwice) return
      lookTwice = false
      yield* Effect.sleep(SECOND_LOOK)
      yield* refresh
    }).pipe(
      Effect.catch((error) => Effect.logWarning("Cannot read the endpoints; they stay as they were read last.", error)),
      Effect.forever
    )

    yield* Queue.offer(wakes, undefined)
    yield* Effect.forkScoped(loop)
    yield* Effect.forkScoped(Stream.runForEach(hints, () => Queue.offer(wakes, undefined)))

    return Endpoints.of({
      get: (id) => known.get(id),
      fetch,
      refreshSoon: () => {
        lookTwice = true
        Queue.offerUnsafe(wakes, undefined)
      },
      changes: Stream.callback<{ readonly id: EndpointId; readonly endpoint: Endpoint | undefined }>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => known.watch((id, endpoint) => void Queue.offerUnsafe(queue, { id, endpoint }))),
          (end) => Effect.sync(end)
        )
      )
    })
  })

type Requirements = StoreSql | StoreSettings | NotifierSettings

export const layer: Layer.Layer<Endpoints, never, Requirements | Listener> = Layer.effect(
  Endpoints,
  Effect.flatMap(Listener, (listener) => make(listener.identify))
).pipe(Layer.provide(StoreHints.layer))

/** For a stream that is known already. */
export const layerFor = (stream: StreamId.StreamId): Layer.Layer<Endpoints, never, Requirements> =>
  Layer.effect(Endpoints, make(Effect.succeed(stream))).pipe(Layer.provide(StoreHints.layer))
