/**
 * "The webhook tables changed": NOTIFY from our own statements, heard by every process on the store. Only a hint:
 * plain SQL of others sends none (a trigger that did would make PREPARE TRANSACTION fail), and one may be lost.
 * One connection of the pool listens, for all who ask.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { StoreSql } from "../Sql.ts"

const CHANNEL = "pgstream_webhooks"

export class StoreHints extends Context.Service<StoreHints, {
  /** An element for each notification, and whenever listening began anew: some may have been missed. */
  readonly hints: Stream.Stream<void>
}>()("pgstream/layers/postgres/store/StoreHints") {}

/** After a commit; nothing depends on it. */
export const notify = (sql: PgClient.PgClient): Effect.Effect<void> => Effect.ignore(sql.notify(CHANNEL, ""))

export const layer: Layer.Layer<StoreHints, never, StoreSql> = Layer.effect(
  StoreHints,
  Effect.gen(function*() {
    const sql = yield* StoreSql
    const pubsub = yield* PubSub.sliding<void>(1)
    const listen = Effect.scoped(Effect.gen(function*() {
      const notifications = yield* sql.listen(CHANNEL)
      yield* PubSub.publish(pubsub, undefined)
      return yield* Queue.take(notifications).pipe(Effect.andThen(PubSub.publish(pubsub, undefined)), Effect.forever)
    }))
    yield* Effect.forkScoped(Effect.retry(listen, Schedule.jittered(Schedule.spaced("2 seconds"))))
    return StoreHints.of({ hints: Stream.fromPubSub(pubsub) })
  })
)
