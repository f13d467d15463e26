/**
 * A subscription is a selector of an endpoint: it says *whether* an event is sent. An endpoint says *how*.
 * Definitions are positions in the stream: those in force at a checkpoint are stored with it.
 */
import type { ChangeKind } from "./Change.ts"
import type { Sending } from "./Sending.ts"

export type EndpointId = string
export type SubscriptionId = string

/** The form of both ids, in either case. */
export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** One row of `pgstream.webhook_subscriptions`. */
export interface Subscription {
  /** uuid */
  readonly id: SubscriptionId
  readonly endpointId: EndpointId
  readonly url: string
  /** `""` = every schema. Exact, case-sensitive. */
  readonly schema: string
  /** `""` = every table. */
  readonly table: string
  /** Empty = all kinds but M: messages go only to those that name `M`. */
  readonly eventTypes: ReadonlyArray<ChangeKind>
  /** µs since 1970, for "oldest first". */
  readonly createdAtUs: number
}

/** Its names take the table, whatever event types it takes. */
export const takesTable = (row: Pick<Subscription, "schema" | "table">, { schema, table }: { readonly schema: string; readonly table: string }): boolean =>
  (row.schema === "" || row.schema === schema) && (row.table === "" || row.table === table)

/** One endpoint that gets an event, and the rows that selected it, the one whose form is sent first. */
export interface Selection {
  readonly endpointId: EndpointId
  readonly selectedBy: ReadonlyArray<SubscriptionId>
}

/** What one transaction changed of the definitions. */
export interface DefinitionsDelta {
  readonly upserted: ReadonlyArray<Subscription>
  readonly removed: ReadonlyArray<SubscriptionId>
}

/**
 * key: events of one key in order (default of new endpoints) · total: one at a time (endpoints taken over from a
 * seed database) · none: no order.
 */
export type OrderMode = "key" | "total" | "none"

/** How to send; acts at once. One row of `pgstream.webhook_endpoints`. */
export interface Endpoint {
  readonly id: EndpointId
  /** With userinfo, if the user gave it: sent as Basic, shown nowhere. */
  readonly url: string
  readonly order: OrderMode
  /** Requests in flight at most. */
  readonly concurrency: number
  /** Matched, numbered and parked, not sent. */
  readonly paused: boolean
  /** Why it is paused, in words for `status`; `undefined` while it is not. */
  readonly pausedReason: string | undefined
  /** Secrets, headers, authorization, certificates; absent: none. */
  readonly sending?: Sending
  /** The service stopped it: 410, or days of failure. `paused` is true, too. */
  readonly disabled?: boolean
  /** Its budget is used up: matched and numbered, not kept, not sent. `paused` is true, too. */
  readonly suspended?: boolean
  /** Since when it is disabled or suspended, ms since 1970. */
  readonly stoppedAtMs?: number
  /** What is stored of `sending` does not open: nothing is sent without it. `paused` is true, too. */
  readonly unreadable?: boolean
  /** Requests started a second at most; absent: as many as there are. */
  readonly rate?: number
  /** Several events in one request; absent: one event a request. */
  readonly batch?: BatchLimits
  /** The body is sent compressed (`Content-Encoding: gzip`). */
  readonly gzip?: boolean
}

export interface BatchLimits {
  /** 2 … 1,000 */
  readonly maxEvents: number
  /** How long the first event of a batch waits for more, ms. */
  readonly maxDelayMs: number
}

export type EndpointState = "active" | "paused" | "disabled" | "suspended"

/** The one that keeps most from it. */
export const stateOf = (endpoint: Endpoint): EndpointState => {
  if (endpoint.suspended === true) return "suspended"
  if (endpoint.disabled === true) return "disabled"
  return endpoint.paused ? "paused" : "active"
}

/** Nothing differs that a connection is opened with, or that its lanes go by. */
export const sendsAlike = (a: Endpoint, b: Endpoint): boolean =>
  a.url === b.url && a.order === b.order && a.concurrency === b.concurrency && a.paused === b.paused &&
  a.sending?.version === b.sending?.version && (a.suspended ?? false) === (b.suspended ?? false) && a.rate === b.rate &&
  (a.gzip ?? false) === (b.gzip ?? false) && a.batch?.maxEvents === b.batch?.maxEvents &&
  a.batch?.maxDelayMs === b.batch?.maxDelayMs
