/**
 * The two tables that the store's memory layers share: endpoints and subscriptions. What the database does by
 * triggers (rows with one URL share an endpoint; with its last row an endpoint ends) is done here by methods.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { ChangeKind } from "../../domain/Change.ts"
import type { Endpoint, EndpointId, Subscription } from "../../domain/Subscription.ts"

const rowKey = (url: string, schema: string, table: string): string => JSON.stringify([url, schema, table])

export class Tables {
  readonly endpoints = new Map<EndpointId, Endpoint>()
  readonly subscriptions = new Map<string, Subscription>()
  /** Called after each change of an endpoint: its id, and the row or `undefined` when it went. */
  readonly endpointWatchers = new Set<(id: EndpointId, endpoint: Endpoint | undefined) => void>()
  readonly subscriptionWatchers = new Set<() => void>()
  /** By stream: since when endpoints fail, ms since 1970. */
  readonly failingSince = new Map<string, Map<EndpointId, number>>()
  readonly defaultConcurrency: number
  private lastCreatedAtUs = 0

  constructor(defaultConcurrency: number) {
    this.defaultConcurrency = defaultConcurrency
  }

  /** Adds an endpoint or replaces it. */
  putEndpoint(endpoint: Endpoint): void {
    this.endpoints.set(endpoint.id, endpoint)
    for (const watch of this.endpointWatchers) watch(endpoint.id, endpoint)
  }

  /** It fails since now at the earliest. */
  forgetFailures(id: EndpointId): void {
    for (const since of this.failingSince.values()) since.delete(id)
  }

  removeEndpoint(id: EndpointId): void {
    this.forgetFailures(id)
    if (this.endpoints.delete(id)) for (const watch of this.endpointWatchers) watch(id, undefined)
  }

  private endpointFor(url: string): EndpointId {
    for (const endpoint of this.endpoints.values()) if (endpoint.url === url) return endpoint.id
    const endpoint: Endpoint = {
      id: randomUUID(), url, order: "key", concurrency: this.defaultConcurrency, paused: false, pausedReason: undefined
    }
    this.putEndpoint(endpoint)
    return endpoint.id
  }

  hasSubscription(url: string, schema: string, table: string): boolean {
    return this.subscriptions.has(rowKey(url, schema, table))
  }

  subscribe(url: string, schema: string, table: string, eventTypes: ReadonlyArray<ChangeKind>): Subscription {
    const key = rowKey(url, schema, table)
    const old = this.subscriptions.get(key)
    const row: Subscription = old === undefined
      ? { id: randomUUID(), endpointId: this.endpointFor(url), url, schema, table, eventTypes, createdAtUs: this.now() }
      : { ...old, eventTypes }
    this.subscriptions.set(key, row)
    for (const watch of this.subscriptionWatchers) watch()
    return row
  }

  unsubscribe(url: string, schema: string, table: string): boolean {
    const key = rowKey(url, schema, table)
    const row = this.subscriptions.get(key)
    if (row === undefined) return false
    this.subscriptions.delete(key)
    if (![...this.subscriptions.values()].some((other) => other.endpointId === row.endpointId)) {
      this.removeEndpoint(row.endpointId)
    }
    for (const watch of this.subscriptionWatchers) watch()
    return true
  }

  /** All rows of an endpoint get its new URL. */
  moveSubscriptions(id: EndpointId, url: string): void {
    const rows = Array.from(this.subscriptions.values()).filter((row) => row.endpointId === id)
    for (const row of rows) this.subscriptions.delete(rowKey(row.url, row.schema, row.table))
    for (const row of rows) this.subscriptions.set(rowKey(url, row.schema, row.table), { ...row, url })
    for (const watch of this.subscriptionWatchers) watch()
  }

  /** Strictly increasing, so that "oldest first" is the order of calls. */
  private now(): number {
    this.lastCreatedAtUs = Math.max(this.lastCreatedAtUs + 1, Date.now() * 1000)
    return this.lastCreatedAtUs
  }
}

export class WebhookTables extends Context.Service<WebhookTables, Tables>()("pgstream/layers/memory/WebhookTables") {}

/** `defaultConcurrency`: requests in flight of an endpoint that has no number of its own. */
export const layer = (defaultConcurrency = 64): Layer.Layer<WebhookTables> =>
  Layer.sync(WebhookTables, () => new Tables(defaultConcurrency))
