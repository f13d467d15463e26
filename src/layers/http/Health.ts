/**
 * `GET /health`: the process is alive. `GET /ready`: each check is well (200), or what is not
 * (503). On an address of its own, so that it can be open to an orchestrator while the API is not.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer, type ServerResponse } from "node:http"
import { HealthChecks } from "../../services/HealthChecks.ts"
import { ApiSettings } from "../../services/Settings.ts"
import { listening } from "./listening.ts"

/** A check that takes longer than this counts as not well, ms. */
export const CHECK_TIMEOUT_MS = 2_000

const reply = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
  response.end(JSON.stringify(body))
}

/** Every check at once; `problems` names those that are not well. */
const readiness = Effect.gen(function*() {
  const { checks } = yield* HealthChecks
  const results = yield* Effect.forEach(checks, ({ name, problem }) =>
    problem.pipe(
      Effect.timeoutOrElse({
        duration: CHECK_TIMEOUT_MS,
        orElse: () => Effect.succeed<string | undefined>(`no answer within ${CHECK_TIMEOUT_MS / 1_000} s`)
      }),
      Effect.map((found) => [name, found] as const)
    ), { concurrency: "unbounded" })
  const problems = Object.fromEntries(results.filter(([, found]) => found !== undefined))
  return { ready: Object.keys(problems).length === 0, problems }
})

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const { healthEnabled, healthHost, healthPort } = yield* ApiSettings
    if (!healthEnabled) return
    const run = Effect.runPromiseWith(yield* Effect.context<HealthChecks>())
    const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 }, (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("allow", "GET, HEAD")
        return reply(response, 405, { error: "Only GET." })
      }
      const path = (request.url ?? "/").split("?", 1)[0]
      if (path === "/health") return reply(response, 200, { alive: true })
      if (path !== "/ready") return reply(response, 404, { error: "Only /health and /ready." })
      run(readiness).then(
        (state) => reply(response, state.ready ? 200 : 503, state),
        () => reply(response, 503, { ready: false, problems: { pgstream: "stopping" } })
      )
    })
    yield* listening(server, {
      what: "health checks", host: healthHost, port: healthPort, setting: "PGSTREAM_HEALTH_CHECK_ADDRESS"
    })
  })
)
