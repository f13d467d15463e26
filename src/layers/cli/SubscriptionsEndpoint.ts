/** `pgstream subscriptions pause | resume | rotate-secret | test`: what is done to an endpoint. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { closeSync, openSync, readSync } from "node:fs"
import * as ApiToken from "../../domain/ApiToken.ts"
import * as Sending from "../../domain/Sending.ts"
import * as Signature from "../../domain/Signature.ts"
import { type Endpoint, stateOf } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import * as ApiViews from "../../services/ApiViews.ts"
import * as Audit from "../../services/Audit.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { EndpointTests } from "../../services/EndpointTests.ts"
import { administer, type Connection, endpointWrite, failed, type Output, usage } from "./Admin.ts"
import { CommandFailed } from "./Failure.ts"
import { print, printJson, say } from "./Globals.ts"
import * as Find from "./SubscriptionsFind.ts"

export interface EndpointFlags extends Connection, Output {
  /** Id or URL of an endpoint, or id of a subscription. */
  readonly name: string
}

const gone = failed(1, "It ended just now", "NoSuchEndpoint")
const shown = (endpoint: Endpoint): string => WebhookUrl.withoutUserinfo(endpoint.url)

const setPaused = Effect.fnUntraced(function*(endpoint: Endpoint, paused: boolean) {
  const store = yield* EndpointStore
  const changed = yield* endpointWrite(store.update(endpoint.id, { paused }))
  if (changed === undefined) return yield* gone
  yield* Audit.record({
    action: "endpoint.update", url: endpoint.url, details: { endpointId: endpoint.id, changed: "paused", paused }
  })
  return changed
})

export const pause = (flags: EndpointFlags) =>
  administer(flags, Effect.gen(function*() {
    const endpoint = yield* setPaused(yield* Find.endpoint(flags.name), true)
    if (flags.json) return yield* printJson(ApiViews.endpoint(endpoint, Date.now(), "manage"))
    yield* say(`Paused ${shown(endpoint)}: its events are kept, not sent. To send:   pgstream subscriptions resume ${endpoint.id}`)
  }))

/** What a suspended endpoint did not get was not kept: rows as they are now can be copied. */
const backfill = Effect.fnUntraced(function*(endpoint: Endpoint) {
  const rows = (yield* Find.listed).filter((row) => row.endpointId === endpoint.id)
  yield* say("While it was suspended its events were numbered and not kept. To send those rows as they are now:")
  for (const row of rows) yield* say(`  pgstream snapshot --subscription ${row.id}   # ${Find.tableOf(row)}`)
})

export const resume = (flags: EndpointFlags) =>
  administer(flags, Effect.gen(function*() {
    const before = yield* Find.endpoint(flags.name)
    const endpoint = yield* setPaused(before, false)
    if (flags.json) {
      const view = { ...ApiViews.endpoint(endpoint, Date.now(), "manage"), was: stateOf(before) }
      return yield* printJson(view)
    }
    yield* say(stateOf(before) !== "active"
      ? `Resumed ${shown(endpoint)}, which was ${stateOf(before)}.`
      : `${shown(endpoint)} is active: there was nothing to resume.`)
    if (endpoint.paused) yield* say(`Nothing is sent to it all the same: ${endpoint.pausedReason ?? "it is paused"}.`)
    if (before.suspended === true) yield* backfill(endpoint)
  }))

export interface RotateFlags extends EndpointFlags {
  readonly overlap: Option.Option<string>
  readonly secretFile: Option.Option<string>
}

/** A secret is at most some 90 characters. */
const MAX_SECRET_FILE_BYTES = 4_096

const fileText = (path: string): Effect.Effect<string, CommandFailed> =>
  Effect.try({
    try: () => {
      const file = openSync(path, "r")
      try {
        const buffer = Buffer.alloc(MAX_SECRET_FILE_BYTES)
        return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, null)).toString("utf8").trim()
      } finally {
        closeSync(file)
      }
    },
    catch: () => usage("--secret-file: the file cannot be read")
  })

const given = Effect.fnUntraced(function*(file: Option.Option<string>) {
  if (Option.isNone(file)) return undefined
  const text = yield* fileText(file.value)
  const key = Signature.parseSecret(text)
  if (Result.isFailure(key)) return yield* usage(`--secret-file: it holds no signing secret: ${key.failure.problem}`)
  return Redacted.make(text)
})

const overlapSeconds = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return Sending.DEFAULT_OVERLAP_SECONDS
  if (text.value === "0") return 0
  const ms = ApiToken.lifetimeMs(text.value)
  if (Result.isFailure(ms)) return yield* usage(`--overlap: ${JSON.stringify(text.value)} ${ms.failure}`)
  const seconds = ms.success / 1_000
  return seconds <= Sending.MAX_OVERLAP_SECONDS ? seconds : yield* usage("--overlap: at most 30d")
})

export const rotateSecret = Effect.fnUntraced(function*(flags: RotateFlags) {
  const secret = yield* given(flags.secretFile)
  const request = { secret, overlapSeconds: yield* overlapSeconds(flags.overlap) }
  yield* administer(flags, Effect.gen(function*() {
    const endpoint = yield* Find.endpoint(flags.name)
    const rotated = yield* endpointWrite(EndpointStore.use((store) => store.rotateSecret(endpoint.id, request)))
    if (rotated === undefined) return yield* gone
    yield* Audit.record({ action: "endpoint.rotate-secret", url: rotated.url, details: { endpointId: endpoint.id } })
    const until = rotated.overlapUntilMs === undefined ? undefined : new Date(rotated.overlapUntilMs).toISOString()
    if (flags.json) {
      return yield* printJson({
        endpoint_id: endpoint.id,
        ...(secret === undefined ? { secret: Redacted.value(rotated.secret) } : {}),
        ...(until === undefined ? {} : { overlap_until: until })
      })
    }
    if (secret === undefined) yield* print(Redacted.value(rotated.secret))
    const once = secret === undefined ? " It is shown this once." : ""
    const overlap = until === undefined ? "" : ` Until ${until} requests carry a signature of the secret before, too.`
    yield* say(`Requests to ${shown(endpoint)} are signed with a new secret.${once}${overlap}`)
  }))
})

export const test = (flags: EndpointFlags) =>
  administer(flags, Effect.gen(function*() {
    const endpoint = yield* Find.endpoint(flags.name)
    yield* Audit.record({ action: "endpoint.test", url: endpoint.url, details: { endpointId: endpoint.id } })
    const tested = yield* EndpointTests.use((tests) => tests.send(endpoint))
    if (flags.json) yield* printJson(ApiViews.tested(endpoint, tested))
    else {
      const answer = tested.accepted ? `accepted with ${tested.status}` : `not accepted: ${tested.reason}`
      yield* print(`${shown(endpoint)}  ${answer}  ${tested.tookMs} ms  webhook-id ${tested.id}`)
    }
    if (!tested.accepted) return yield* new CommandFailed({ exitCode: 1, text: "" })
  }))
