/**
 * Subscriptions and endpoints as API and CLI show them. Nobody sees userinfo, a secret, a header's value, a token or a
 * certificate; who may only read sees no query of a URL either, since it often holds a token.
 */
import * as Redacted from "effect/Redacted"
import type { TokenScope } from "../domain/ApiToken.ts"
import * as Sending from "../domain/Sending.ts"
import { type Endpoint, stateOf, type Subscription } from "../domain/Subscription.ts"
import * as WebhookUrl from "../domain/WebhookUrl.ts"
import type { EndpointTested } from "./EndpointTests.ts"
import type { RemovedSubscription } from "./SubscriptionStore.ts"

export const url = (text: string, scope: TokenScope): string =>
  scope === "manage" ? WebhookUrl.withoutUserinfo(text) : WebhookUrl.describe(text)

export const subscription = (row: Subscription, scope: TokenScope) => ({
  id: row.id,
  endpoint_id: row.endpointId,
  url: url(row.url, scope),
  schema: row.schema,
  table: row.table,
  event_types: row.eventTypes,
  created_at: new Date(row.createdAtUs / 1_000).toISOString()
})

export const removed = ({ endpointEnded, subscription: row, withdrawn }: RemovedSubscription, scope: TokenScope) => ({
  ...subscription(row, scope), endpoint_ended: endpointEnded, withdrawn
})

/** Of an endpoint, where only that is shown. */
export const state = (endpoint: Endpoint) => ({
  state: stateOf(endpoint),
  ...(endpoint.stoppedAtMs === undefined ? {} : { state_since: new Date(endpoint.stoppedAtMs).toISOString() }),
  paused: endpoint.paused,
  ...(endpoint.pausedReason === undefined ? {} : { paused_reason: endpoint.pausedReason }),
  ...(endpoint.unreadable === true ? { secrets_unreadable: true } : {})
})

export const endpoint = (it: Endpoint, nowMs: number, scope: TokenScope) => {
  const content = it.sending === undefined ? Sending.empty : Redacted.value(it.sending.content)
  return {
    id: it.id,
    url: url(it.url, scope),
    order: it.order,
    concurrency: it.concurrency,
    rate: it.rate ?? null,
    batch: it.batch === undefined ? null : { max_events: it.batch.maxEvents, max_delay_ms: it.batch.maxDelayMs },
    gzip: it.gzip ?? false,
    ...state(it),
    headers: Object.keys(content.headers),
    auth: content.auth?.type ?? null,
    ca: content.ca !== null,
    client_certificate: content.client !== null,
    secrets: Sending.inForce(content.secrets, nowMs).map(({ expiresAtMs }) => ({
      expires_at: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString()
    }))
  }
}

export const tested = ({ id: endpointId }: Endpoint, { accepted, id, reason, status, tookMs }: EndpointTested) => ({
  endpoint_id: endpointId, id, accepted, status: status ?? null, reason: reason ?? null, took_ms: tookMs
})
