/**
 * pgstream inside another Effect program, with a Notifier of its own: each committed change goes to a function, and
 * a position is settled when the function is done with everything before it.
 *
 *   PGSTREAM_POSTGRES_LISTENER_URL=postgres://… node examples/embed/embed.ts      (after `pgstream init`)
 *
 * An app writes `from "pgstream"` in place of the relative path.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { type Change, load, Notifier, pipeline, pipelineLayer, type Settled, usable } from "../../src/index.ts"

const nothingElse = { counts: new Map(), upserted: [], removed: [] }
const noShapes = { tables: new Map(), versions: new Map(), entries: [], newIds: [] }

/** `handle` sees each change once a run; after a crash those that were not settled come again, with the same ids. */
export const notifier = (handle: (change: Change.Change) => Effect.Effect<void>): Layer.Layer<Notifier> =>
  Layer.succeed(Notifier, Notifier.of({
    open: Effect.fnUntraced(function*() {
      // Bounded: a store that is slow slows the stream, down to the socket.
      const done = yield* Queue.bounded<Settled>(256)
      let last: Settled | undefined
      return {
        offer: Effect.fnUntraced(function*(chunk) {
          for (const item of chunk.items) {
            if (item._tag === "Change") yield* handle(item)
            else if (item._tag === "Commit") {
              yield* Queue.offer(done, { update: { position: item.endLsn, shapes: item.shapes ?? noShapes, ...nothingElse } })
            } else if (item._tag === "Keepalive") {
              yield* Queue.offer(done, { update: { position: item.walEnd, shapes: noShapes, ...nothingElse } })
            }
          }
        }),
        settled: Queue.take(done).pipe(Effect.tap((settled) => Effect.sync(() => { last = settled }))),
        drain: Effect.void,
        rest: Effect.sync(() => last)
      }
    })
  }))

/** What is configured, with that Notifier in place of the webhooks. Never ends by itself. */
export const program = (handle: (change: Change.Change) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const settings = yield* load({ file: undefined, flags: {}, needTarget: false }).pipe(Effect.flatMap(usable))
    return yield* pipeline.pipe(Effect.provide(notifier(handle)), Effect.provide(pipelineLayer(settings)))
  })

if (import.meta.main) {
  const show = (change: Change.Change) =>
    Console.log(`${change.kind} ${change.relation?.schema}.${change.relation?.table}`)
  const fiber = Effect.runFork(program(show))
  fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? 0 : 1))
  const stop = () => fiber.interruptUnsafe()
  process.once("SIGINT", stop)
  process.once("SIGTERM", stop)
}
