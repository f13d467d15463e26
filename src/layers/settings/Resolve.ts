/**
 * Flags, environment and file into typed settings, or every problem at once. Pure but for `readFile`.
 * Nothing that it says holds a value that might be a secret.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as PostgresUrl from "../../domain/PostgresUrl.ts"
import type { AddressGuardSettingsShape } from "../../services/AddressGuard.ts"
import type { Plugin } from "../../services/ChangeSource.ts"
import type { DeliveryLogSettingsShape, NoticeSettingsShape } from "../../services/DeliverySettings.ts"
import { notifierDefaults, type ApiSettingsShape, type NotifierSettingsShape, type SecretSettingsShape, type SourceSettingsShape, type StoreSettingsShape } from "../../services/Settings.ts"
import type { SnapshotSettingsShape } from "../../services/SnapshotSettings.ts"
import { collect, type Collected, type Input, type Problem } from "./Collect.ts"
import { readDeliveryLog, readNotices } from "./ResolveLog.ts"
import { readProxies } from "./ResolveProxy.ts"
import type { ProxySettingsShape } from "../../services/ProxySettings.ts"
import { Reader } from "./Reader.ts"
import { readGuard } from "./ResolveGuard.ts"
import { isOfSnapshot, readMode, readSnapshot } from "./ResolveSnapshot.ts"
import * as Value from "./Value.ts"

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal"

/** All that the program is configured with. */
export interface AppSettings {
  readonly source: SourceSettingsShape
  readonly snapshot: SnapshotSettingsShape
  readonly store: StoreSettingsShape
  /** Subscriptions that are let in. */
  readonly subscriptions: { readonly max: number }
  readonly secrets: SecretSettingsShape
  readonly notifier: NotifierSettingsShape
  readonly deliveryLog: DeliveryLogSettingsShape
  readonly notices: NoticeSettingsShape
  readonly api: ApiSettingsShape
  readonly guard: AddressGuardSettingsShape
  readonly proxies: ProxySettingsShape
  readonly injector: boolean
  /** Of a slot that `init` makes; `undefined`: pgoutput. */
  readonly plugin: Plugin | undefined
  readonly schemaScanIntervalMs: number
  readonly log: { readonly level: LogLevel; readonly format: "console" | "json"; readonly noColor: boolean }
  /** Whether a target (the store of subscriptions) was configured; `run` needs one. */
  readonly targetConfigured: boolean
}

export interface Resolved {
  /** `undefined`: the source is not known, so nothing can be asked. With problems they are for `status` alone. */
  readonly settings: AppSettings | undefined
  readonly problems: ReadonlyArray<Problem>
  readonly warnings: ReadonlyArray<Problem>
}

export interface Need {
  /** `run`: a target must be configured. */
  readonly target: boolean
  /** `pgstream snapshot`: a copy alone, whatever mode is written. */
  readonly copy?: boolean
}

export const resolve = (input: Input, need: Need): Resolved => {
  const collected = collect(input)
  const reader = new Reader(collected)
  const mode = readMode(reader, need.copy === true ? "snapshot" : undefined)
  refuse(collected, reader, mode)
  const source = readSource(reader, collected)
  const snapshot = readSnapshot(reader, collected, mode, need.copy === true)
  if (mode !== "replication") readRecorder(reader, collected, source)
  const store = readStore(reader, collected, source, need)
  const secrets = {
    key: reader.parsed("secrets.key", Value.secretKey), previous: reader.parsed("secrets.previous", Value.secretKeys) ?? []
  }
  const subscriptions = { max: reader.count("store.max", 10_000) }
  const notifier = readNotifier(reader)
  const [deliveryLog, notices] = [readDeliveryLog(reader), readNotices(reader)]
  const api = readApi(reader)
  const guard = readGuard(reader, api)
  const proxies = readProxies(reader, collected, guard)
  const injector = readInjector(reader, collected, source)
  const plugin = reader.choice("source.plugin", ["pgoutput", "wal2json"] as const)
  const schemaScanIntervalMs = reader.duration("source.scan", 10_000)
  const log = readLog(reader)
  const settings: AppSettings | undefined = source === undefined ? undefined : {
    source: source.settings, store: store.settings ?? { url: source.settings.url, inSource: true, refreshIntervalMs: 60_000 },
    snapshot, subscriptions, secrets, notifier, deliveryLog, notices, api, guard, proxies, injector, plugin, schemaScanIntervalMs, log, targetConfigured: store.configured
  }
  return { settings, problems: sorted(collected.problems), warnings: sorted(collected.warnings) }
}

const sorted = (list: ReadonlyArray<Problem>): ReadonlyArray<Problem> =>
  list.toSorted((a, b) => (a.where === b.where ? 0 : a.where.localeCompare(b.where, "en", { numeric: true })))

/** Keys that are known and not there. */
const refuse = (collected: Collected, reader: Reader, mode: SnapshotSettingsShape["mode"]): void => {
  for (const entry of collected.found.values()) {
    if (entry.key.state === "works" || entry.value === "false" || entry.value === "0") continue
    if (mode === "replication" && isOfSnapshot(entry.key.id)) continue
    if (entry.key.state === "refused") reader.problem(entry.key.id, `would change what is sent. ${entry.key.meaning}`)
    else reader.warning(entry.key.id, `has no effect. ${entry.key.meaning}`)
  }
}

/** Requests are recorded in the source, whatever is written. */
const readRecorder = (reader: Reader, collected: Collected, source: Source | undefined): void => {
  const target = readUrl(reader, collected, "snapshot.storeUrl")
  if (target !== undefined && source !== undefined && !sameDatabase(target, source.target)) {
    reader.warning("snapshot.storeUrl", "names another database than the source; what is copied is recorded in the source")
  }
}

interface Source {
  readonly target: PostgresUrl.ConnectionTarget
  readonly settings: SourceSettingsShape
}

const readUrl = (reader: Reader, collected: Collected, id: string): PostgresUrl.ConnectionTarget | undefined => {
  const text = reader.text(id)
  if (text === undefined) return undefined
  const parsed = PostgresUrl.parse(Redacted.make(text), collected.variables)
  if (Result.isSuccess(parsed)) return parsed.success
  reader.problem(id, `is no usable Postgres URL: ${parsed.failure.part}: ${parsed.failure.problem}`)
  return undefined
}

const readSource = (reader: Reader, collected: Collected): Source | undefined => {
  const ofCopy = readUrl(reader, collected, "snapshot.url")
  const target = reader.has("source.url") ? readUrl(reader, collected, "source.url") : ofCopy
  if (target !== undefined && ofCopy !== undefined && !sameDatabase(target, ofCopy)) {
    reader.problem("snapshot.url", "names another database than the source: only one listener can be configured at a time")
  }
  if (target === undefined && !reader.has("source.url") && !reader.has("snapshot.url")) {
    reader.missing("PGSTREAM_POSTGRES_LISTENER_URL", "need at least one listener configured: a postgres URL is required; set it, source.postgres.url in YAML, or --postgres-url")
  }
  const slot = reader.has("source.slot")
    ? reader.parsed("source.slot", Value.slotName)
    : target === undefined ? undefined : defaultSlot(reader, target.database)
  const constant = reader.optionalDuration("source.backoffConstant")
  const backoffInitialMs = constant ?? reader.duration("source.backoffInitial", 500)
  const rest = {
    driver: reader.choice("source.driver", ["socket", "pg-logical-replication"] as const) ?? "socket" as const,
    maxFrameBytes: reader.bytes("source.maxFrame", 64 * 1024 * 1024),
    readAheadBytes: reader.bytes("source.readAhead", 2 * 1024 * 1024),
    backoffInitialMs,
    backoffMaxMs: constant ?? Math.max(backoffInitialMs, reader.duration("source.backoffMax", 30_000)),
    silenceMs: reader.duration("source.silence", 30_000),
    timezone: reader.parsed("source.timezone", Value.timezone)
  }
  if (target === undefined) return undefined
  return { target, settings: { url: PostgresUrl.toUrl(target), slotName: slot ?? "", ...rest } }
}

const defaultSlot = (reader: Reader, database: string): string | undefined => {
  const name = Value.defaultSlotName(database)
  if (Result.isSuccess(name)) return name.success
  reader.missing("PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME", "is needed: the name of the database gives no name of a slot (a-z, 0-9, _, at most 63)")
  return undefined
}

/** Same hosts (the names of loopback are one), ports and database. */
const sameDatabase = (a: PostgresUrl.ConnectionTarget, b: PostgresUrl.ConnectionTarget): boolean => {
  const place = (t: PostgresUrl.ConnectionTarget) =>
    t.hosts.map(({ host, port }) => `${/^(localhost|127\.0\.0\.1|::1)$/.test(host) ? "loopback" : host}:${port}`).toSorted().join()
  return a.database === b.database && place(a) === place(b)
}

const readStore = (
  reader: Reader, collected: Collected, source: Source | undefined, need: Need
): { readonly configured: boolean; readonly settings: StoreSettingsShape | undefined } => {
  const target = readUrl(reader, collected, "store.url")
  const configured = reader.has("store.url")
  const cached = reader.boolean("store.cache", false)
  const interval = reader.optionalDuration("store.refresh")
  if (!configured && need.target) {
    reader.missing("PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL", "need at least one processor configured: set it to the database of the subscriptions, usually the source (target.webhooks.subscriptions.store.url in YAML)")
  }
  if (target === undefined) return { configured, settings: undefined }
  const inSource = source !== undefined && sameDatabase(target, source.target)
  return {
    configured,
    settings: { url: PostgresUrl.toUrl(target), inSource, refreshIntervalMs: cached || inSource ? interval ?? 60_000 : 1_000 }
  }
}

const readNotifier = (reader: Reader): NotifierSettingsShape => {
  const standard = notifierDefaults
  if (reader.has("notifier.workers")) {
    reader.warning("notifier.workers", reader.has("notifier.concurrency")
      ? "is the old name of the concurrency, which is set too; it is not used"
      : "is the old name of PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY (notifier.concurrency): requests in flight per endpoint")
  }
  const constant = reader.optionalDuration("notifier.retryConstant")
  const retryInitialMs = constant ?? reader.duration("notifier.retryInitial", standard.retryInitialMs)
  const workers = reader.count("notifier.workers", standard.concurrency)
  const breakerPauseMs = reader.duration("notifier.breakerPause", standard.breakerPauseMs)
  return {
    concurrency: reader.count("notifier.concurrency", workers),
    attemptTimeoutMs: reader.duration("notifier.timeout", standard.attemptTimeoutMs),
    maxQueueBytes: reader.bytes("notifier.maxQueue", standard.maxQueueBytes),
    maxEndpointBytes: reader.bytes("notifier.maxEndpoint", standard.maxEndpointBytes),
    parkAfterMs: reader.duration("notifier.parkAfter", standard.parkAfterMs),
    retryInitialMs,
    retryMaxMs: constant ?? Math.max(retryInitialMs, reader.duration("notifier.retryMax", standard.retryMaxMs)),
    parkedScheduleMs: reader.durations("notifier.parkedSchedule") ?? standard.parkedScheduleMs,
    refusedScheduleMs: reader.durations("notifier.refusedSchedule") ?? standard.refusedScheduleMs,
    breakerFailures: reader.count("notifier.breakerFailures", standard.breakerFailures),
    breakerRatePercent: reader.count("notifier.breakerRate", standard.breakerRatePercent),
    breakerWindow: reader.count("notifier.breakerWindow", standard.breakerWindow),
    breakerPauseMs,
    breakerPauseMaxMs: Math.max(breakerPauseMs, reader.duration("notifier.breakerPauseMax", standard.breakerPauseMaxMs)),
    disableAfterMs: reader.durationOrZero("notifier.disableAfter", standard.disableAfterMs),
    deadRetentionMs: reader.durationOrZero("notifier.deadRetention", standard.deadRetentionMs),
    maxParkedKeys: reader.count("notifier.maxParkedKeys", standard.maxParkedKeys),
    walBudgetBytes: reader.bytes("notifier.walBudget", standard.walBudgetBytes),
    budgetBytes: reader.bytes("notifier.budgetBytes", standard.budgetBytes),
    budgetAgeMs: reader.duration("notifier.budgetAge", standard.budgetAgeMs),
    budgetAction: reader.choice("notifier.budgetAction", ["suspend", "pause-slot", "dead-letter"] as const) ?? standard.budgetAction,
    storeBudgetBytes: reader.bytes("notifier.storeBudget", standard.storeBudgetBytes),
    graceMs: reader.duration("notifier.grace", standard.graceMs)
  }
}

const readApi = (reader: Reader): ApiSettingsShape => {
  const address = reader.parsed("api.address", Value.address) ?? { host: "127.0.0.1", port: 9900, loopback: true }
  const health = reader.parsed("health.address", Value.address) ?? { host: "127.0.0.1", port: 9901, loopback: true }
  const token = reader.text("api.token")
  const open = reader.boolean("api.allow", false)
  const healthEnabled = reader.boolean("health.enabled", true)
  if (!address.loopback && token === undefined && !open) {
    reader.problem("api.address", "lets everybody who reaches it subscribe to the whole database. Set PGSTREAM_API_TOKEN, or choose 127.0.0.1:9900, or set PGSTREAM_API_ALLOW_UNAUTHENTICATED=true")
  }
  if (healthEnabled && health.port !== 0 && health.port === address.port && (health.host === address.host || health.host === "" || address.host === "")) {
    reader.problem(reader.has("health.address") ? "health.address" : "api.address", "is the same address for the API and for health; they need two ports")
  }
  return {
    host: address.host, port: address.port, hosts: (reader.list("api.hosts") ?? []).map((name) => name.toLowerCase()), token: token === undefined ? undefined : Redacted.make(token),
    readTimeoutMs: reader.duration("api.readTimeout", 5_000), writeTimeoutMs: reader.duration("api.writeTimeout", 10_000),
    healthHost: health.host, healthPort: health.port, healthEnabled
  }
}

/** On by the variable alone, or by `enabled` in YAML. The URL is read for its form: the schema log is the source's. */
const readInjector = (reader: Reader, collected: Collected, source: Source | undefined): boolean => {
  const enabled = reader.optionalBoolean("injector.enabled")
  const target = readUrl(reader, collected, "injector.url")
  if (enabled === true && source === undefined && !reader.has("injector.url")) {
    reader.problem("injector.enabled", "needs a source: injector config can't infer schemalog url from source postgres url, schemalog_url must be provided")
  }
  if (target !== undefined && source !== undefined && !sameDatabase(target, source.target)) {
    reader.warning("injector.url", "names another database than the source; the schema log is the one of the source")
  }
  return reader.originOf("injector.url") === "environment" || (enabled ?? reader.isVariable("injector.url"))
}

const readLog = (reader: Reader): AppSettings["log"] => {
  const level = reader.choice("log.level", ["trace", "debug", "info", "warn", "error", "fatal", "panic"] as const) ?? "info"
  return {
    level: level === "panic" ? "fatal" : level,
    format: reader.choice("log.format", ["console", "json"] as const) ?? "console",
    noColor: reader.boolean("log.noColor", false)
  }
}
