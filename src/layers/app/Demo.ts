/**
 * `npm start` without configuration: a Postgres of its own, initialised; the pipeline; a receiver that prints each
 * event; a subscription; and a few changes, so that events are seen within seconds. Goes on until it is stopped.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Setup } from "../../services/Setup.ts"
import { load, usable } from "../settings/Load.ts"
import { setupLayer } from "./AppLive.ts"
import { change } from "./DemoChanges.ts"
import { DemoError } from "./DemoError.ts"
import { freePort, start } from "./DemoPostgres.ts"
import { receiver } from "./DemoReceiver.ts"
import { runPipeline } from "./RunPipeline.ts"

export interface DemoOutput {
  /** Progress: stderr. */
  readonly say: (line: string) => Effect.Effect<void>
  /** Events: stdout. */
  readonly print: (text: string) => Effect.Effect<void>
}

const SUBSCRIBE_LIMIT_MS = 30_000

const post = (url: string, body: unknown): Promise<number> =>
  fetch(url, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(5_000)
  }).then((response) => response.body?.cancel().then(() => response.status) ?? response.status, () => 0)

/** Tried until the API is up. */
const subscribe = (api: string, receiverUrl: string) =>
  Effect.gen(function*() {
    const deadline = Date.now() + SUBSCRIBE_LIMIT_MS
    for (;;) {
      const status = yield* Effect.promise(() => post(`${api}/webhooks/subscribe`, { url: receiverUrl }))
      if (status === 201) return
      if (Date.now() > deadline || status >= 400 && status !== 503) {
        return yield* new DemoError({ code: "DemoSubscribeFailed", exitCode: 1, summary: `The subscription API at ${api} answered ${status === 0 ? "nothing" : status}.`, mend: "The lines above say why." })
      }
      yield* Effect.sleep(100)
    }
  })

/** One line for a person: what happened where, then the event itself. */
const shown = (body: string): string => {
  try {
    const { Data: data } = JSON.parse(body) as { readonly Data: { readonly action: string; readonly schema: string; readonly table: string } }
    return `event  ${data.action} ${data.schema}.${data.table}\n${body}`
  } catch {
    return body
  }
}

const settingsFor = (url: string, apiPort: number, healthPort: number) =>
  load({
    file: undefined, flags: {}, needTarget: true,
    env: {
      PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url,
      PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${apiPort}`, PGSTREAM_HEALTH_CHECK_ADDRESS: `127.0.0.1:${healthPort}`,
      PGSTREAM_INJECTOR_STORE_POSTGRES_URL: url
    }
  }).pipe(Effect.flatMap(usable))

export const demo = ({ print, say }: DemoOutput) =>
  Effect.gen(function*() {
    yield* say("No configuration: this is the demo. (pgstream run --help is the way to a database of yours.)")
    const postgres = yield* start
    yield* say(`Postgres: ${postgres.fresh ? "made" : "started again"}; its data are in ${postgres.folder}`)
    const apiPort = yield* freePort(9900)
    const healthPort = yield* freePort(9901)
    const receiverPort = yield* freePort(9910)
    const settings = yield* settingsFor(postgres.url, apiPort, healthPort)
    yield* Setup.use((setup) =>
      setup.init({ plugin: "pgoutput", adopt: false, keepIdentities: false, waitMs: 60_000, progress: (line) => void process.stderr.write(`${line}\n`) })
    ).pipe(Effect.provide(setupLayer(settings)))
    yield* say("pgstream initialisation complete")

    yield* receiver(receiverPort, (body) => Effect.runSync(print(shown(body))))
    const api = `http://127.0.0.1:${apiPort}`
    const receiverUrl = `http://127.0.0.1:${receiverPort}/webhook`
    const pipeline = yield* Effect.forkChild(runPipeline(settings))
    const show = Effect.gen(function*() {
      yield* subscribe(api, receiverUrl)
      yield* say(`Subscribed ${receiverUrl}; each event that it receives is printed here.`)
      yield* change(postgres.url)
      yield* say([
        "", "Change something:", `  psql '${postgres.url}' -c "INSERT INTO orders (customer, total) VALUES ('carol', 5)"`,
        "Subscribe another receiver:", `  curl -X POST ${api}/webhooks/subscribe -H 'Content-Type: application/json' -d '{"url": "${receiverUrl}", "schema": "public", "table": "orders", "event_types": ["I"]}'`,
        "Stop with Ctrl-C; the next start goes on with the same data.", ""
      ].join("\n"))
      return yield* Effect.never
    })
    // The pipeline ends by itself only when it fails; stopped, it drains before Postgres goes.
    yield* Effect.raceFirst(Fiber.join(pipeline), show).pipe(Effect.onExit(() => Fiber.interrupt(pipeline)))
  }).pipe(Effect.scoped)
