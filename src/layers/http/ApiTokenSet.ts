/**
 * The tokens in force, in memory: what the guard asks at each request. Read at the start, when the store says that they
 * changed, and every few seconds; while the store is away, those that were read last hold.
 *
 * As soon as there is a token, in the store or in the configuration, every request needs one; an expired one counts, so
 * that the API does not open by itself. Until the store has answered once that cannot be known, so a request without
 * the configured token has to wait.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { timingSafeEqual } from "node:crypto"
import * as ApiToken from "../../domain/ApiToken.ts"
import { type Caller, local } from "../../services/ApiCaller.ts"
import { ApiTokens, hashOf, type StoredToken } from "../../services/ApiTokens.ts"

/** A removed token is refused after this at the latest, ms. */
const REFRESH_MS = 5_000
/** How long the start waits for the store to say which there are, ms. */
const FIRST_READ_MS = 2_000

/** The token of the configuration, as `Caller` and audit lines have it. */
export const CONFIGURED = "PGSTREAM_API_TOKEN"

/** `missing`, `wrong`, `expired`: 401 · `unknown`: not read yet, 503. */
export type Refused = "missing" | "wrong" | "expired" | "unknown"

export interface TokenSet {
  /** A token is needed, or would be as far as is known. */
  readonly required: () => boolean
  /** Plain: each request asks. The value of the header Authorization; the time in ms since 1970. */
  readonly find: (authorization: string | undefined, nowMs: number) => Caller | Refused
}

const bearer = (authorization: string): string | undefined => /^Bearer +(\S+) *$/i.exec(authorization)?.[1]

/** Compared with all of them, each in constant time: how long it takes does not tell which was close. */
const matching = (given: Buffer, tokens: ReadonlyArray<StoredToken>): StoredToken | undefined => {
  let found: StoredToken | undefined
  for (const token of tokens) if (timingSafeEqual(given, token.hash)) found = token
  return found
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Without a store: for tests of the guard alone. `used`: called once a day for each token. */
export const over = (
  configured: Redacted.Redacted<string> | undefined,
  known: () => ReadonlyArray<StoredToken> | undefined,
  used: (name: string, day: string) => void
): TokenSet => {
  const own = configured === undefined ? undefined : hashOf(Redacted.value(configured))
  const usedOn = new Map<string, string>()
  const noteUse = (name: string, day: string): void => {
    if (usedOn.get(name) === day) return
    // Names of removed tokens, too: a bound, not a leak.
    if (usedOn.size > 2 * ApiToken.MAX_TOKENS) usedOn.clear()
    usedOn.set(name, day)
    used(name, day)
  }
  return {
    required: () => own !== undefined || known() === undefined || known()!.length > 0,
    find: (authorization, nowMs) => {
      const tokens = known()
      if (own === undefined && tokens !== undefined && tokens.length === 0) return local
      const given = authorization === undefined ? undefined : bearer(authorization)
      const digest = given === undefined ? undefined : hashOf(given)
      if (own !== undefined && digest !== undefined && timingSafeEqual(digest, own)) {
        return { name: CONFIGURED, scope: "manage" }
      }
      if (tokens === undefined) return "unknown"
      if (digest === undefined) return authorization === undefined ? "missing" : "wrong"
      const token = matching(digest, tokens)
      if (token === undefined) return "wrong"
      if (ApiToken.isExpired(token, nowMs)) return "expired"
      noteUse(token.name, dayOf(nowMs))
      return { name: token.name, scope: token.scope }
    }
  }
}

export const make = (
  configured: Redacted.Redacted<string> | undefined, refreshMs = REFRESH_MS
): Effect.Effect<TokenSet, never, ApiTokens | Scope.Scope> =>
  Effect.gen(function*() {
    const store = yield* ApiTokens
    let tokens: ReadonlyArray<StoredToken> | undefined
    let away = false
    const uses = yield* Queue.sliding<readonly [name: string, day: string]>(ApiToken.MAX_TOKENS)

    const read = store.list.pipe(
      Effect.map((list) => {
        tokens = list
        away = false
      }),
      Effect.catch((error) => {
        if (away) return Effect.void
        away = true
        return Effect.logWarning("Cannot read the tokens of the API; those that were read last hold.", error)
      })
    )
    const writeUse = Effect.gen(function*() {
      const [name, day] = yield* Queue.take(uses)
      yield* Effect.ignore(store.used([name], day))
    })

    yield* Effect.timeoutOption(read, FIRST_READ_MS)
    const looks = Stream.merge(Stream.tick(refreshMs), store.hints)
    yield* Effect.forkScoped(Stream.runForEach(looks, () => read))
    yield* Effect.forkScoped(Effect.forever(writeUse))
    return over(configured, () => tokens, (name, day) => void Queue.offerUnsafe(uses, [name, day]))
  })
