/**
 * The whole pipeline of `run` with a sender that answers in memory: what everything but HTTP can do. Not a bare loop: the
 * program itself, in this process, with one Layer replaced.
 *
 * Configured as `run` is; `EVENTS`: how many. Prints `{ events, eventsPerSecond, cpuUs, peakMib }`, from the first event to the last.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { load, pipeline, pipelineLayer, usable, WebhookTransport } from "../../src/index.ts"
import * as AppLive from "../../src/layers/app/AppLive.ts"
import * as DeliveriesLive from "../../src/layers/app/DeliveriesLive.ts"
import * as Notifier from "../../src/layers/pipeline/Notifier.ts"
import * as SubscriptionCacheChosen from "../../src/layers/pipeline/SubscriptionCacheChosen.ts"
import * as WithdrawalsLive from "../../src/layers/pipeline/WithdrawalsLive.ts"
import * as RemovedRowsPg from "../../src/layers/postgres/store/RemovedRowsPg.ts"
import { peakMib } from "../processes.ts"

const events = Number(process.env["EVENTS"])
let [seen, began, cpu] = [0, 0, process.cpuUsage()]

const finish = (): void => {
  const used = process.cpuUsage(cpu)
  process.stdout.write(`${JSON.stringify({
    events: seen, eventsPerSecond: seen / ((performance.now() - began) / 1_000), cpuUs: (used.user + used.system) / seen, peakMib: peakMib(process.pid)
  })}\n`)
  process.kill(process.pid, "SIGTERM")
}

/** Answers in the next turn of the event loop, all at once: as a socket does. */
let waiting: Array<() => void> = []
const answer = () => {
  const due = waiting
  waiting = []
  for (const each of due) each()
  seen += due.length
  if (seen >= events) finish()
}
const transport = Layer.succeed(WebhookTransport, WebhookTransport.of({
  open: () =>
    Effect.succeed({
      send: (_request, done) => {
        if (began === 0) [began, cpu] = [performance.now(), process.cpuUsage()]
        if (waiting.length === 0) setImmediate(answer)
        waiting.push(() => done({ _tag: "Accepted", status: 200 }))
      }
    })
}))

const program = Effect.gen(function*() {
  const settings = yield* load({ file: undefined, flags: {}, needTarget: true }).pipe(Effect.flatMap(usable))
  // Fresh: the graph below has one, too, and a Layer is built once.
  const notifier = Layer.fresh(Notifier.layer).pipe(
    Layer.provide(SubscriptionCacheChosen.layer), Layer.provide(transport), Layer.provide(DeliveriesLive.told),
    Layer.provide(WithdrawalsLive.layer.pipe(Layer.provideMerge(RemovedRowsPg.layer))), Layer.provide(AppLive.databases(settings))
  )
  return yield* pipeline.pipe(Effect.provide(notifier), Effect.provide(pipelineLayer(settings)))
})

const fiber = Effect.runFork(program)
fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? 0 : 1))
process.once("SIGTERM", () => fiber.interruptUnsafe())
