/** What the commands for operators share: configuration, stores, and texts of what failed. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { AddressGuard } from "../../services/AddressGuard.ts"
import type { ApiTokens, ApiTokensError } from "../../services/ApiTokens.ts"
import type { CurrentStream } from "../../services/CurrentStream.ts"
import type { DeliveryAdmin } from "../../services/DeliveryAdmin.ts"
import type { DeliveryCommands } from "../../services/DeliveryCommands.ts"
import type { EndpointRefused, EndpointStore, EndpointStoreError } from "../../services/EndpointStore.ts"
import type { EndpointTests } from "../../services/EndpointTests.ts"
import type { SubscriptionStore, SubscriptionStoreError } from "../../services/SubscriptionStore.ts"
import type { Verify } from "../../services/Verify.ts"
import { CommandFailed, type ExitCode } from "./Failure.ts"
import { configure, type OwnFlags, settingsOf } from "./Globals.ts"
import * as Logging from "./Logging.ts"

export interface Connection {
  readonly postgresUrl: Option.Option<string>
  readonly replicationSlot: Option.Option<string>
}

/** The keys that they set. */
export const sourceFlags = (flags: Connection): OwnFlags => ({
  "source.url": { flag: "--postgres-url", value: flags.postgresUrl },
  "source.slot": { flag: "--replication-slot", value: flags.replicationSlot }
})

export interface Output {
  readonly json: boolean
}

const NOTHING_CHANGED = "Nothing was changed."

/** `what`: a sentence without its end. `more`: lines below it. */
export const failed = (exitCode: ExitCode, what: string, code: string, more: ReadonlyArray<string> = []): CommandFailed => {
  const below = more.length === 0 ? "" : `\n\n${more.map((line) => `  ${line}`).join("\n")}`
  return new CommandFailed({ exitCode, text: `${what}.${below}\n\n${NOTHING_CHANGED}  ${code}` })
}

/** The command line itself is wrong. */
export const usage = (what: string): CommandFailed => failed(2, what, "Usage")

type StoreError = SubscriptionStoreError | EndpointStoreError | ApiTokensError

/** The store, or the source that names the stream. */
export const storeFailed = (error: StoreError): CommandFailed => {
  const seen = error.cause instanceof Error ? Logging.describeError(error.cause) : "no answer"
  return error.unavailable
    ? failed(1, "Cannot reach the store, or the source that names the stream", "StoreUnavailable", [seen])
    : failed(1, "The store refused", "StoreRefused", [seen, "", "What is wrong with it:   pgstream status"])
}

const endpointRefused = (error: EndpointRefused): CommandFailed =>
  failed(1, "Cannot change the endpoint", error.reason, [error.detail])

/** A write to an endpoint, with what is said when it fails. */
export const endpointWrite = <A, R>(write: Effect.Effect<A, EndpointStoreError | EndpointRefused, R>): Effect.Effect<A, CommandFailed, R> =>
  Effect.mapError(write, (error) => (error._tag === "EndpointRefused" ? endpointRefused(error) : storeFailed(error)))

/** What `AdminLive` stands for. */
export type Stores =
  | SubscriptionStore | EndpointStore | ApiTokens | AddressGuard | EndpointTests | CurrentStream | DeliveryAdmin | DeliveryCommands | Verify

/** Runs `work` on the stores of the configuration. */
export const administer = Effect.fnUntraced(function*<A, E>(flags: Connection, work: Effect.Effect<A, E, Stores>) {
  const loaded = yield* configure(sourceFlags(flags), { needTarget: false })
  const settings = yield* settingsOf(loaded)
  const { adminLayer } = yield* Effect.promise(() => import("../app/AdminLive.ts"))
  return yield* work.pipe(Effect.provide(adminLayer(settings)), Effect.provide(Logging.layer(settings.log)))
})
