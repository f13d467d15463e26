/**
 * Typed settings of the running pipeline, each with its unit and default. Layers read these, never the
 * environment: `layers/settings` is the only reader of that.
 */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"

export interface SourceSettingsShape {
  /** Source database; what is missing comes from PG* variables, resolved by `layers/settings`. */
  readonly url: Redacted.Redacted<string>
  readonly slotName: string
  /** Which driver under the Listener: our own connection, or pg-logical-replication. */
  readonly driver: "socket" | "pg-logical-replication"
  /** Frames above this many bytes are dead-lettered by position. Default 64 MiB. */
  readonly maxFrameBytes: number
  /** Bytes that may be read ahead of the Notifier. Default 8 MiB. */
  readonly readAheadBytes: number
  /** Reconnect schedule: exponential with jitter, ms. Defaults 500 and 30,000. */
  readonly backoffInitialMs: number
  readonly backoffMaxMs: number
  /** Silence after which the server is asked over another connection. Default 30,000 ms. */
  readonly silenceMs: number
  /** IANA name of the zone that `timestamptz` is written in, in rows and in `timestamp`. Default UTC. */
  readonly timezone?: string | undefined
}
export class SourceSettings extends Context.Service<SourceSettings, SourceSettingsShape>()("pgstream/services/SourceSettings") {}

export interface StoreSettingsShape {
  /** Database of subscriptions, checkpoint and parked deliveries. */
  readonly url: Redacted.Redacted<string>
  /** The same database as the source: definitions then have a place in the stream. */
  readonly inSource: boolean
  /** A store elsewhere, and endpoints, are read again at least this often. Default 60,000 ms. */
  readonly refreshIntervalMs: number
}
export class StoreSettings extends Context.Service<StoreSettings, StoreSettingsShape>()("pgstream/services/StoreSettings") {}

export interface SecretSettingsShape {
  /** 32 bytes: encrypts what the store keeps of endpoints and parked bodies. `undefined`: in the clear. */
  readonly key: Redacted.Redacted<Uint8Array> | undefined
  /** Keys that were used before: they open, they do not seal. */
  readonly previous: ReadonlyArray<Redacted.Redacted<Uint8Array>>
}
/** Without a Layer for it there is no key. */
export const SecretSettings = Context.Reference<SecretSettingsShape>("pgstream/services/SecretSettings", {
  defaultValue: () => ({ key: undefined, previous: [] })
})

export interface NotifierSettingsShape {
  /** Requests in flight per endpoint. Default 64. */
  readonly concurrency: number
  /** One attempt, from connect to the end of the answer. Default 10,000 ms. */
  readonly attemptTimeoutMs: number
  /** Bytes of bodies held for all endpoints, a shared body counted once. Default 100 MiB. */
  readonly maxQueueBytes: number
  /** Bytes of bodies held in the lanes of one endpoint. Default 8 MiB. */
  readonly maxEndpointBytes: number
  /** Live time: after this since the first attempt began, a delivery is parked. Default 5,000 ms. */
  readonly parkAfterMs: number
  /** Live retries: exponential with jitter, ms. Defaults 250 and 2,000. */
  readonly retryInitialMs: number
  readonly retryMaxMs: number
  /** Retry schedule of what is parked, ms before each further attempt, jittered; then dead. Default 5 s … 10 h, about 3 days. */
  readonly parkedScheduleMs: ReadonlyArray<number>
  /** The same for what the receiver refuses (3xx, 4xx but 408, 409, 425, 429): 5 s, 1 min, 10 min. */
  readonly refusedScheduleMs: ReadonlyArray<number>
  /** Circuit breaker: opens after so many failures in a row (default 10), or when so many percent (70) of the last answers (100) are failures. */
  readonly breakerFailures: number
  readonly breakerRatePercent: number
  readonly breakerWindow: number
  /** Its first pause, and the longest; doubled, jittered, ms. Defaults 5,000 and 300,000. */
  readonly breakerPauseMs: number
  readonly breakerPauseMaxMs: number
  /** An endpoint that fails for so long, ms, without one accepted delivery is disabled. Default 5 days; 0 = never. */
  readonly disableAfterMs: number
  /** Dead deliveries are kept for so long, ms. Default 30 days; 0 = for ever. */
  readonly deadRetentionMs: number
  /**
   * Parked keys of an endpoint, or rows parked above the stored position, above which it goes behind, and its reader stands
   * still. Default 65,536.
   */
  readonly maxParkedKeys: number
  /** WAL that the slot may hold before the endpoint that holds it back goes behind, bytes. Default 8 GiB. */
  readonly walBudgetBytes: number
  /** What may wait for one endpoint in segments: bytes of bodies, and for how long, ms. Defaults 10 GiB and 7 days. */
  readonly budgetBytes: number
  readonly budgetAgeMs: number
  /**
   * Over it · suspend: its events are counted, not kept, until it is resumed (default) · pause-slot: the stream waits, for
   * all · dead-letter: its events are recorded as dead.
   */
  readonly budgetAction: BudgetAction
  /** What may wait for all endpoints in segments, bytes; over it the stream waits. Default 0: no bound. */
  readonly storeBudgetBytes: number
  /** Graceful stop: requests in flight may take this long. Default 10,000 ms. */
  readonly graceMs: number
}
export type BudgetAction = "suspend" | "pause-slot" | "dead-letter"

export class NotifierSettings extends Context.Service<NotifierSettings, NotifierSettingsShape>()("pgstream/services/NotifierSettings") {}

export const notifierDefaults: NotifierSettingsShape = {
  concurrency: 64,
  attemptTimeoutMs: 10_000,
  maxQueueBytes: 100 * 1024 * 1024,
  maxEndpointBytes: 8 * 1024 * 1024,
  parkAfterMs: 5_000,
  retryInitialMs: 250,
  retryMaxMs: 2_000,
  parkedScheduleMs: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 36_000_000, 36_000_000, 36_000_000, 36_000_000, 36_000_000, 36_000_000],
  refusedScheduleMs: [5_000, 60_000, 600_000],
  breakerFailures: 10,
  breakerRatePercent: 70,
  breakerWindow: 100,
  breakerPauseMs: 5_000,
  breakerPauseMaxMs: 300_000,
  disableAfterMs: 5 * 86_400_000,
  deadRetentionMs: 30 * 86_400_000,
  maxParkedKeys: 65_536,
  walBudgetBytes: 8 * 1024 ** 3,
  budgetBytes: 10 * 1024 ** 3,
  budgetAgeMs: 7 * 86_400_000,
  budgetAction: "suspend",
  storeBudgetBytes: 0,
  graceMs: 10_000
}

/** Subscriptions that API and CLI let in. Without a Layer for it the default, 10,000. Plain SQL is not held to it. */
export const SubscriptionSettings = Context.Reference<{
  readonly max: number
}>("pgstream/services/SubscriptionSettings", { defaultValue: () => ({ max: 10_000 }) })

export interface ApiSettingsShape {
  readonly host: string
  readonly port: number
  /** Names of a Host header beside loopback and `host`, lower case. Absent or empty: none. */
  readonly hosts?: ReadonlyArray<string>
  /** One of those that a request needs, with the scope `manage`. */
  readonly token: Redacted.Redacted<string> | undefined
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly healthHost: string
  readonly healthPort: number
  readonly healthEnabled: boolean
}
export class ApiSettings extends Context.Service<ApiSettings, ApiSettingsShape>()("pgstream/services/ApiSettings") {}
