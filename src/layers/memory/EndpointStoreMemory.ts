/** Same contract as `EndpointStorePg`; `test/suites/EndpointStoreSuite.ts` runs against both. Nothing is at rest here. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as Sending from "../../domain/Sending.ts"
import * as Signature from "../../domain/Signature.ts"
import type { Endpoint } from "../../domain/Subscription.ts"
import { type EndpointChange, EndpointRefused, EndpointStore } from "../../services/EndpointStore.ts"
import { type Tables, WebhookTables } from "./WebhookTables.ts"

const contentOf = ({ sending }: Endpoint): Sending.SendingContent =>
  sending === undefined ? Sending.empty : Redacted.value(sending.content)

const withContent = (endpoint: Endpoint, content: Sending.SendingContent): Endpoint => ({
  ...endpoint, sending: Sending.make(String(Number(endpoint.sending?.version ?? 0) + 1), content)
})

const optional = <A extends object>(fields: { readonly [K in keyof A]: A[K] | undefined }): Partial<A> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<A>

const resumed = ({ disabled: _, suspended: __, stoppedAtMs: ___, ...rest }: Endpoint): Endpoint => rest

/** `undefined`: as it is. `null`: none. */
const settled = <A>(wanted: A | null | undefined, now: A | undefined): A | undefined =>
  wanted === undefined ? now : wanted ?? undefined

const changed = (tables: Tables, endpoint: Endpoint, change: EndpointChange): Endpoint => {
  const paused = change.paused ?? endpoint.paused
  const { batch, gzip, rate, ...rest } = endpoint
  const next: Endpoint = {
    ...(change.paused === false ? resumed(rest) : rest),
    ...optional({
      rate: settled(change.rate, rate), batch: settled(change.batch, batch), gzip: (change.gzip ?? gzip) || undefined
    }),
    url: change.url ?? endpoint.url,
    order: change.order ?? endpoint.order,
    concurrency: change.concurrency === null ? tables.defaultConcurrency : change.concurrency ?? endpoint.concurrency,
    paused,
    pausedReason: paused ? endpoint.pausedReason ?? "paused by an operator" : undefined
  }
  return change.sending === undefined ? next : withContent(next, { ...contentOf(endpoint), ...change.sending })
}

export const layer: Layer.Layer<EndpointStore, never, WebhookTables> = Layer.effect(
  EndpointStore,
  Effect.gen(function*() {
    const tables = yield* WebhookTables
    return EndpointStore.of({
      list: Effect.sync(() => [...tables.endpoints.values()]),
      update: (id, change) =>
        Effect.suspend(() => {
          const endpoint = tables.endpoints.get(id)
          if (endpoint === undefined) return Effect.undefined
          const taken = change.url !== undefined
            && [...tables.endpoints.values()].some((other) => other.id !== id && other.url === change.url)
          if (taken) return Effect.fail(new EndpointRefused({ reason: "UrlTaken", detail: "Another endpoint has this URL." }))
          const next = changed(tables, endpoint, change)
          if (change.url !== undefined) tables.moveSubscriptions(id, change.url)
          if (change.paused === false) tables.forgetFailures(id)
          tables.putEndpoint(next)
          return Effect.succeed(next)
        }),
      rotateSecret: Effect.fnUntraced(function*(id, request) {
        const now = yield* Clock.currentTimeMillis
        const endpoint = tables.endpoints.get(id)
        if (endpoint === undefined) return undefined
        const secret = request.secret ?? Redacted.make(Signature.formatSecret(randomBytes(Signature.SECRET_BYTES)))
        const rotated = Sending.rotate(contentOf(endpoint), Redacted.value(secret), now, request.overlapSeconds)
        if (rotated === undefined) {
          return yield* new EndpointRefused({ reason: "TooManySecrets", detail: `${Sending.MAX_SECRETS} would count.` })
        }
        tables.putEndpoint(withContent(endpoint, rotated))
        return { url: endpoint.url, secret, overlapUntilMs: rotated.secrets[1]?.expiresAtMs ?? undefined }
      })
    })
  })
)
