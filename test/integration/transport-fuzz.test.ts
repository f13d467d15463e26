/**
 * The transport against Node's own HTTP server, which answers by a seeded plan: lengths, chunks and trailers, pieces of
 * any size, early hints, answers before the request was read, connections closed, cut or half-closed behind an answer,
 * bytes that nobody asked for. What comes back must be what the plan says, for each request its own.
 *
 * A failure names the seed: `SEED=… npx vitest run test/integration/transport-fuzz.test.ts`.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import { BODY_KEPT_BYTES, BODY_READ_BYTES } from "../../src/layers/http/Lane.ts"
import * as WebhookTransportHttp from "../../src/layers/http/WebhookTransportHttp.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { type EndpointConnection, WebhookTransport } from "../../src/services/WebhookTransport.ts"
import { Random } from "../simulation/Random.ts"
import { attempt, endpointAt, requestOf } from "../suites/WebhookTransportSuite.ts"
import { listen } from "../support/webServers.ts"

const ROUNDS = 60
const IN_FLIGHT = 8
const seeds = process.env["SEED"] === undefined ? [1, 2, 3] : [Number(process.env["SEED"])]

const layer = WebhookTransportHttp.layer.pipe(Layer.provide(Layer.succeed(NotifierSettings, { ...notifierDefaults, attemptTimeoutMs: 20_000 })))

interface Plan {
  readonly body: Buffer
  readonly status: number
  readonly answer: Buffer
  /** Sizes of the pieces that the answer is written in. */
  readonly pieces: ReadonlyArray<number>
  readonly framing: "length" | "chunked" | "close"
  readonly trailers: boolean
  readonly hints: number
  /** Answers when the head of the request is there, and reads no more of it. */
  readonly early: boolean
  readonly after: "keep" | "keep" | "close" | "end" | "destroy" | "garbage" | "breakOff"
}

const planOf = (random: Random): Plan => {
  const status = random.pick([200, 200, 201, 204, 299, 302, 304, 400, 410, 429, 500, 503])
  const bodyless = status === 204 || status === 304
  const size = random.pick([0, 1, random.int(2, 3_000), random.int(3_000, BODY_READ_BYTES), random.int(BODY_READ_BYTES + 1, 300_000)])
  const early = random.chance(0.1)
  return {
    status, early,
    body: Buffer.alloc(early ? 4_000_000 : random.pick([2, random.int(2, 3_000), random.int(30_000, 40_000), 500_000]), "b"),
    answer: bodyless ? Buffer.alloc(0) : Buffer.alloc(size, `${random.int(0, 1_000_000)} `),
    pieces: Array.from({ length: random.int(1, 4) }, () => random.pick([random.int(1, 40), random.int(40, 5_000), 400_000])),
    framing: bodyless ? "length" : random.pick(["length", "chunked", "close"]),
    trailers: random.chance(0.3), hints: random.chance(0.2) ? random.int(1, 3) : 0,
    after: random.pick(["keep", "keep", "close", "end", "destroy", "garbage", "breakOff"])
  }
}

const expected = ({ answer, status }: Plan): AttemptResult => {
  if (status < 300) return { _tag: "Accepted", status }
  const bodyStart = answer.length === 0 ? undefined : answer.subarray(0, BODY_KEPT_BYTES).toString("utf8")
  return { _tag: "Refused", status, retryAfterMs: 3_000, bodyStart }
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

const answerBy = async (plan: Plan, response: ServerResponse, socket: Socket): Promise<void> => {
  for (let n = 0; n < plan.hints; n++) response.writeEarlyHints({ link: "</a>; rel=preload" })
  const cutShort = plan.after === "breakOff" && plan.framing === "length" && plan.answer.length > 2 * BODY_KEPT_BYTES
  response.writeHead(plan.status, {
    "retry-after": "3", ...(plan.after === "close" || plan.framing === "close" ? { connection: "close" } : {}),
    ...(plan.framing === "length" && plan.answer.length > 0 ? { "content-length": plan.answer.length } : {}),
    ...(plan.framing === "chunked" && plan.trailers ? { trailer: "x-check" } : {})
  })
  if (plan.framing === "close") response.useChunkedEncodingByDefault = false
  const end = cutShort ? BODY_KEPT_BYTES + 1 : plan.answer.length
  for (let at = 0, n = 0; at < end && !socket.destroyed; n++) {
    const to = Math.min(end, at + plan.pieces[n % plan.pieces.length]!)
    response.write(plan.answer.subarray(at, to))
    at = to
    if (n < 50) await turn()
  }
  // Not at once: what was written must leave first.
  if (cutShort) return void socket.end()
  if (plan.framing === "chunked" && plan.trailers) response.addTrailers({ "x-check": "1" })
  response.end(() => {
    if (plan.after === "end") socket.end()
    else if (plan.after === "destroy") socket.destroy()
    // And closes: an answer too many would shift all that follow, which no client can tell.
    else if (plan.after === "garbage") socket.end("HTTP/1.1 500 Not Asked For\r\ncontent-length: 0\r\n\r\n")
  })
}

const server = Effect.gen(function*() {
  const plans = new Map<string, Plan>()
  const problems: Array<string> = []
  const web = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const { socket } = request
    socket.on("error", () => undefined)
    const id = String(request.headers["webhook-id"])
    const plan = plans.get(id)!
    if (plan.early) return void answerBy(plan, response, socket)
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      if (!Buffer.concat(parts).equals(plan.body)) problems.push(`${id}: the body that came is another one`)
      void answerBy(plan, response, socket)
    })
  })
  web.on("clientError", (error: Error, socket: Socket) => {
    // Broken off: an early answer ends what is left of its request.
    if ("code" in error && /^HPE_(?!INVALID_EOF_STATE)/.test(String(error.code))) problems.push(`not HTTP: ${String(error.code)}`)
    socket.destroy()
  })
  const port = yield* Effect.acquireRelease(listen(web), () =>
    Effect.sync(() => {
      web.close()
      web.closeAllConnections()
    }))
  return { plans, problems, url: `http://127.0.0.1:${port}/` }
})

/** What may meet the next request: the end of the connection, or the answer that nobody asked for. HTTP cannot tell. */
const LATE: ReadonlyArray<AttemptResult> = [
  { _tag: "NoAnswer", reason: "connection closed without an answer" },
  { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: undefined }
]
const late = new Set(LATE.map((result) => JSON.stringify(result)))

/** 1: something of another answer came in between. */
const check = (result: AttemptResult, plan: Plan, id: string): number => {
  if (late.has(JSON.stringify(result))) return 1
  assert.deepStrictEqual(result, expected(plan), `${id} ${JSON.stringify({ ...plan, body: plan.body.length, answer: plan.answer.length })}`)
  return 0
}

const run = Effect.fnUntraced(function*(seed: number) {
  const random = new Random(seed)
  const { plans, problems, url } = yield* server
  const connection: EndpointConnection = yield* (yield* WebhookTransport).open(endpointAt(url, IN_FLIGHT))
  let disturbed = 0
  for (let round = 0; round < ROUNDS; round++) {
    const ids = Array.from({ length: IN_FLIGHT }, (_, n) => `${round}-${n}`)
    for (const id of ids) plans.set(id, planOf(random))
    const found = yield* Effect.all(ids.map((id) => attempt(connection, requestOf(id, plans.get(id)!.body))), { concurrency: "unbounded" })
    for (const [n, id] of ids.entries()) disturbed += check(found[n]!, plans.get(id)!, id)
  }
  assert.deepStrictEqual(problems, [])
  assert.isBelow(disturbed, ROUNDS * IN_FLIGHT / 10)
})

for (const seed of seeds) {
  it.live(`each request gets its own answer, as planned (seed ${seed})`, () => run(seed).pipe(Effect.scoped, Effect.provide(layer)), 120_000)
}
