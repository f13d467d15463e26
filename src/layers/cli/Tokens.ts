/** `pgstream tokens add | list | remove` */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as ApiToken from "../../domain/ApiToken.ts"
import { nearest } from "../../domain/Nearest.ts"
import { ApiTokens } from "../../services/ApiTokens.ts"
import * as Audit from "../../services/Audit.ts"
import { administer, type Connection, failed, type Output, storeFailed, usage } from "./Admin.ts"
import { print, printJson, say } from "./Globals.ts"
import { table } from "./TextTable.ts"

export interface AddFlags extends Connection, Output {
  readonly name: string
  readonly scope: ApiToken.TokenScope
  readonly expires: Option.Option<string>
}

const timeOf = (ms: number): string => new Date(ms).toISOString()

const view = (token: ApiToken.ApiToken) => ({
  name: token.name,
  scope: token.scope,
  created_at: timeOf(token.createdAtMs),
  expires_at: token.expiresAtMs === undefined ? null : timeOf(token.expiresAtMs),
  last_used_on: token.lastUsedOn ?? null
})

const lifetime = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const ms = ApiToken.lifetimeMs(text.value)
  return Result.isSuccess(ms) ? ms.success : yield* usage(`--expires: ${JSON.stringify(text.value)} ${ms.failure}`)
})

const MANY = failed(1, `There are ${ApiToken.MAX_TOKENS} tokens, the most that there may be`, "TooManyTokens", [
  "Remove one that is not used:   pgstream tokens list"
])

export const add = Effect.fnUntraced(function*(flags: AddFlags) {
  const { name, scope } = flags
  const problem = ApiToken.nameProblem(name)
  if (problem !== undefined) return yield* usage(`${JSON.stringify(name)} ${problem}`)
  const ms = yield* lifetime(flags.expires)
  yield* administer(flags, Effect.gen(function*() {
    const expiresAtMs = ms === undefined ? undefined : (yield* Clock.currentTimeMillis) + ms
    const tokens = yield* ApiTokens
    const made = yield* tokens.add({ name, scope, expiresAtMs }).pipe(Effect.catchTags({
      ApiTokensError: (error) => Effect.fail(storeFailed(error)),
      ApiTokenRefused: ({ reason }) => Effect.fail(reason === "TooMany" ? MANY : failed(
        1, `There is a token ${name} already`, "TokenNameTaken", [`To replace it:   pgstream tokens remove ${name}`]
      ))
    }))
    yield* Audit.record({ action: "token.add", details: { token: name, scope } })
    const secret = Redacted.value(made.secret)
    if (flags.json) return yield* printJson({ ...view(made.token), token: secret })
    yield* print(secret)
    yield* say(`Token ${name} (${scope}) was made; it is shown this once. Send it as   Authorization: Bearer TOKEN`)
    yield* say("From now on every request of the API needs a token, on loopback, too.")
  }))
})

export const list = (flags: Connection & Output) =>
  administer(flags, Effect.gen(function*() {
    const tokens = yield* ApiTokens.use((store) => store.list).pipe(Effect.mapError(storeFailed))
    if (flags.json) return yield* printJson({ tokens: tokens.map(view) })
    const now = yield* Clock.currentTimeMillis
    const lines = tokens.map((token) => [
      token.name, token.scope, timeOf(token.createdAtMs).slice(0, 10),
      token.expiresAtMs === undefined ? "never" : ApiToken.isExpired(token, now) ? "expired" : timeOf(token.expiresAtMs).slice(0, 16) + "Z",
      token.lastUsedOn ?? "never"
    ])
    yield* print(table(["NAME", "SCOPE", "MADE", "EXPIRES", "LAST USED"], lines))
  }))

export const remove = (flags: Connection & Output & { readonly name: string }) =>
  administer(flags, Effect.gen(function*() {
    const tokens = yield* ApiTokens
    if (!(yield* tokens.remove(flags.name).pipe(Effect.mapError(storeFailed)))) {
      const known = (yield* tokens.list.pipe(Effect.mapError(storeFailed))).map(({ name }) => name)
      const near = nearest(flags.name, known)
      const there = known.length === 0 ? "There is none at all." : `There are: ${known.join(", ")}`
      return yield* failed(1, `There is no token ${JSON.stringify(flags.name)}`, "NoSuchToken", [
        ...(near === undefined ? [] : [`Was ${near} meant?`]), there
      ])
    }
    yield* Audit.record({ action: "token.remove", details: { token: flags.name } })
    const left = (yield* tokens.list.pipe(Effect.mapError(storeFailed))).length
    if (flags.json) return yield* printJson({ removed: flags.name, left })
    yield* say(`Token ${flags.name} was removed: it is refused within seconds.`)
    if (left === 0) yield* say("It was the last one. Without PGSTREAM_API_TOKEN the API takes requests without a token again.")
  }))
