/** The API on a free port of loopback, and plain requests to it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { request as httpRequest } from "node:http"
import * as ApiServer from "../../src/layers/http/ApiServer.ts"
import * as ApiTokensMemory from "../../src/layers/memory/ApiTokensMemory.ts"
import * as CopyRequestsMemory from "../../src/layers/memory/CopyRequestsMemory.ts"
import * as DeliveryAdminMemory from "../../src/layers/memory/DeliveryAdminMemory.ts"
import * as DeliveryCommandsMemory from "../../src/layers/memory/DeliveryCommandsMemory.ts"
import * as EndpointStoreMemory from "../../src/layers/memory/EndpointStoreMemory.ts"
import * as EndpointsMemory from "../../src/layers/memory/EndpointsMemory.ts"
import * as SegmentsMemory from "../../src/layers/memory/SegmentsMemory.ts"
import * as SequenceRangesMemory from "../../src/layers/memory/SequenceRangesMemory.ts"
import * as SubscriptionStoreMemory from "../../src/layers/memory/SubscriptionStoreMemory.ts"
import * as TableCatalogMemory from "../../src/layers/memory/TableCatalogMemory.ts"
import * as VerifyMemory from "../../src/layers/memory/VerifyMemory.ts"
import * as WebhookTables from "../../src/layers/memory/WebhookTables.ts"
import * as WebhookTransportMemory from "../../src/layers/memory/WebhookTransportMemory.ts"
import * as CopyAskingLive from "../../src/layers/pipeline/CopyAskingLive.ts"
import * as EndpointTestsLive from "../../src/layers/pipeline/EndpointTestsLive.ts"
import { AddressGuard } from "../../src/services/AddressGuard.ts"
import type { ApiTokens } from "../../src/services/ApiTokens.ts"
import type { CopyAsking } from "../../src/services/CopyAsking.ts"
import type { CopyRequests } from "../../src/services/CopyRequests.ts"
import { CurrentStream } from "../../src/services/CurrentStream.ts"
import type { DeliveryAdmin } from "../../src/services/DeliveryAdmin.ts"
import type { DeliveryCommands } from "../../src/services/DeliveryCommands.ts"
import type { Endpoints } from "../../src/services/Endpoints.ts"
import type { EndpointTests } from "../../src/services/EndpointTests.ts"
import type { EndpointStore } from "../../src/services/EndpointStore.ts"
import { ApiSettings, type ApiSettingsShape } from "../../src/services/Settings.ts"
import type { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"
import type { Verify } from "../../src/services/Verify.ts"

export const apiSettings: ApiSettingsShape = {
  host: "127.0.0.1", port: 0, token: undefined, readTimeoutMs: 5_000, writeTimeoutMs: 10_000,
  healthHost: "127.0.0.1", healthPort: 0, healthEnabled: true
}

export const settingsLayer = (settings: Partial<ApiSettingsShape> = {}) =>
  Layer.succeed(ApiSettings, { ...apiSettings, ...settings })

/** Every address may be sent to. */
export const guardNothing = Layer.succeed(AddressGuard, { on: false, check: () => Effect.void })

/** What `POST …/test` sends is accepted. */
export const testsAccepted: Layer.Layer<EndpointTests> = EndpointTestsLive.layer.pipe(
  Layer.provide(WebhookTransportMemory.layer((_endpoint, _request, answer) => answer({ _tag: "Accepted", status: 204 })))
)

/** A source with `public.orders (id, name)` and `public.users (id)`. */
const catalog = TableCatalogMemory.layer({
  schemas: ["public"],
  tables: ["orders", "users"].map((name, oid) => ({ oid, schema: "public", name, kind: "table" as const, partitionOf: undefined }))
}, { "public.orders": ["id", "name"], "public.users": ["id"] })

/** Copies are kept in memory; nobody works on them. */
export const copiesInMemory = CopyAskingLive.layer.pipe(Layer.provideMerge(CopyRequestsMemory.layer), Layer.provide(catalog))

/** Deliveries and commands in memory; nobody carries these out. No number was given yet. */
export const deliveriesInMemory = Layer.mergeAll(
  DeliveryAdminMemory.layer, DeliveryCommandsMemory.layer, VerifyMemory.layer(() => new Map()),
  Layer.succeed(CurrentStream, { identify: Effect.succeed({ systemIdentifier: "1", slotName: "s" }) })
).pipe(Layer.provide(Layer.mergeAll(SegmentsMemory.layer, SequenceRangesMemory.layer)))

/** Store and endpoints in memory, with their tables; copies of that source. */
export const memory: Layer.Layer<
  AddressGuard | CurrentStream | DeliveryAdmin | DeliveryCommands | Verify | CopyAsking | CopyRequests | EndpointTests | ApiTokens | SubscriptionStore | Endpoints | EndpointStore | WebhookTables.WebhookTables
> = Layer.mergeAll(
  guardNothing,
  deliveriesInMemory,
  testsAccepted,
  ApiTokensMemory.layer,
  copiesInMemory.pipe(Layer.provideMerge(SubscriptionStoreMemory.layer)),
  EndpointsMemory.layer,
  EndpointStoreMemory.layer
).pipe(Layer.provideMerge(WebhookTables.layer()))

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
  /** The body as JSON. */
  readonly json: Record<string, unknown>
}

export interface Asking {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

const parsed = (text: string): Record<string, unknown> => {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

export const ask = (port: number) => (path: string, { body, headers, method }: Asking = {}): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const request = httpRequest({ port, host: "127.0.0.1", path, method: method ?? "GET", headers, agent: false }, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8")
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) }))
      })
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body)
  })

/** `post` sends JSON as the tutorial's curl does. */
export const startApi = Effect.gen(function*() {
  const port = yield* ApiServer.serve
  const get = ask(port)
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    get(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body)
    })
  return { port, get, post }
})
