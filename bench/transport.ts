/**
 * What our transport delivers, beside the bare loop that it is measured by: undici's `Pool.request`, POST of 900
 * bytes with the same headers, to a receiver in a process of its own that answers at once. Pairs of fresh processes,
 * in turn (FACTS.md: one process may be 20 % slower for its whole life); medians. Then the same signed, beside a bare
 * loop that signs.
 *
 * `node bench/transport.ts [requests=60000] [pairs=5]`; prints requests/s, client CPU µs a request, and the ratio.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync, fork } from "node:child_process"
import { createHmac, createSecretKey } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { Pool } from "undici"
import * as Sending from "../src/domain/Sending.ts"
import * as Signature from "../src/domain/Signature.ts"
import * as WebhookTransportHttp from "../src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "../src/services/Settings.ts"
import { WebhookTransport } from "../src/services/WebhookTransport.ts"

const here = fileURLToPath(import.meta.url)
const body = Buffer.alloc(900, "x")
const secretKey = Buffer.alloc(32, 7)

interface Outcome {
  readonly perSecond: number
  readonly cpuUs: number
}

const measured = async (requests: number, run: (count: number) => Promise<void>): Promise<Outcome> => {
  await run(Math.ceil(requests / 5))
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  await run(requests)
  const { system, user } = process.cpuUsage(cpu)
  return { perSecond: requests / ((performance.now() - began) / 1_000), cpuUs: (user + system) / requests }
}

const bare = async (url: string, inFlight: number, requests: number, signed: boolean): Promise<Outcome> => {
  const key = createSecretKey(secretKey)
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: inFlight })
  let sent = 0
  const loop = async (count: number): Promise<void> => {
    while (sent < count) {
      const id = `0000000001a2b3c4-2f9c0d1e2a3b4-${sent++}`
      const headers = {
        "content-type": "application/json", "user-agent": "pgstream", "webhook-id": id, "webhook-timestamp": String(Math.floor(Date.now() / 1_000)),
        "webhook-endpoint": "7d7a7c1e-8a39-4c57-a5a0-2f2f3a3c7a11", "webhook-sequence": String(sent), "webhook-epoch": "a1b2c3d4"
      }
      if (signed) {
        const digest = createHmac("sha256", key).update(`${id}.${headers["webhook-timestamp"]}.`).update(body).digest("base64")
        Object.assign(headers, { "webhook-signature": `v1,${digest}` })
      }
      const answer = await pool.request({ method: "POST", path: pathname, headers, body })
      await answer.body.dump()
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`)
    }
  }
  const outcome = await measured(requests, async (count) => {
    sent = 0
    await Promise.all(Array.from({ length: inFlight }, () => loop(count)))
  })
  await pool.close()
  return outcome
}

const ours = (url: string, inFlight: number, requests: number, signed: boolean): Promise<Outcome> =>
  Effect.gen(function*() {
    const secrets = [{ secret: Signature.formatSecret(secretKey), expiresAtMs: null }]
    const sending = signed ? { sending: Sending.make("1", { ...Sending.empty, secrets }) } : {}
    const endpoint = { ...sending, id: "7d7a7c1e-8a39-4c57-a5a0-2f2f3a3c7a11", url, order: "key", concurrency: inFlight, paused: false, pausedReason: undefined } as const
    const connection = yield* (yield* WebhookTransport).open(endpoint)
    const run = (count: number) =>
      new Promise<void>((resolve, reject) => {
        let [sent, done] = [0, 0]
        const next = (): void => {
          const sequence = ++sent
          connection.send({ body, id: `0000000001a2b3c4-2f9c0d1e2a3b4-${sequence}`, sequence, endpointId: endpoint.id, epoch: "a1b2c3d4" }, (result) => {
            if (result._tag !== "Accepted") return reject(new Error(JSON.stringify(result)))
            if (++done === count) return resolve()
            if (sent < count) next()
          })
        }
        for (let n = 0; n < inFlight; n++) next()
      })
    return yield* Effect.promise(() => measured(requests, run))
  }).pipe(
    Effect.scoped,
    Effect.provide(WebhookTransportHttp.layer.pipe(Layer.provide(Layer.succeed(NotifierSettings, notifierDefaults)))),
    Effect.runPromise
  )

const receive = (): void => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.resume().on("end", () => response.end())
  })
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port))
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

const compare = async (requests: number, pairs: number): Promise<void> => {
  const receiver = fork(here, ["receive"])
  const port = await new Promise<number>((resolve) => receiver.once("message", (message) => resolve(Number(message))))
  const url = `http://127.0.0.1:${port}/webhook`
  const arm = (name: string, inFlight: number, form: string): Outcome =>
    JSON.parse(execFileSync(process.execPath, [here, name, url, String(inFlight), String(requests), form], { encoding: "utf8" })) as Outcome
  const show = ({ cpuUs, perSecond }: Outcome) => `${Math.round(perSecond).toLocaleString("en")}/s ${cpuUs.toFixed(1)} µs`
  for (const [inFlight, form] of [[16, "plain"], [64, "plain"], [64, "signed"]] as const) {
    const what = `${inFlight} in flight, ${form}`
    const ratios: Array<number> = []
    for (let pair = 0; pair < pairs; pair++) {
      const [first, second] = pair % 2 === 0 ? ["bare", "ours"] as const : ["ours", "bare"] as const
      const outcome = {
        [first]: arm(first, inFlight, form), [second]: arm(second, inFlight, form)
      } as { readonly bare: Outcome; readonly ours: Outcome }
      ratios.push(outcome.ours.perSecond / outcome.bare.perSecond)
      console.log(`${what}: bare ${show(outcome.bare)}, ours ${show(outcome.ours)}, ratio ${ratios.at(-1)!.toFixed(2)}`)
    }
    console.log(`${what}: median ratio ${median(ratios).toFixed(2)}`)
  }
  receiver.kill()
}

const [mode, url = "", inFlight = "", requests = "", form = ""] = process.argv.slice(2)
if (mode === "receive") receive()
else if (mode === "bare" || mode === "ours") {
  const outcome = await (mode === "bare" ? bare : ours)(url, Number(inFlight), Number(requests), form === "signed")
  process.stdout.write(JSON.stringify(outcome))
} else await compare(Number(mode ?? 60_000), Number(process.argv[3] ?? 5))
