/** Same contract as `ApiTokensPg`; `test/suites/ApiTokensSuite.ts` runs against both. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import * as ApiToken from "../../domain/ApiToken.ts"
import { ApiTokenRefused, ApiTokens, hashOf, type StoredToken } from "../../services/ApiTokens.ts"

const byName = (a: StoredToken, b: StoredToken): number => (a.name < b.name ? -1 : 1)

export const layer: Layer.Layer<ApiTokens> = Layer.effect(
  ApiTokens,
  Effect.gen(function*() {
    const tokens = new Map<string, StoredToken>()
    const changed = yield* PubSub.sliding<void>(1)
    return ApiTokens.of({
      list: Effect.sync(() => [...tokens.values()].toSorted(byName)),
      add: Effect.fnUntraced(function*({ expiresAtMs, name, scope }) {
        const createdAtMs = yield* Clock.currentTimeMillis
        if (tokens.has(name)) return yield* new ApiTokenRefused({ reason: "NameTaken" })
        if (tokens.size >= ApiToken.MAX_TOKENS) return yield* new ApiTokenRefused({ reason: "TooMany" })
        const secret = ApiToken.format(randomBytes(ApiToken.BYTES).toString("base64url"))
        const token = { name, scope, createdAtMs, expiresAtMs, lastUsedOn: undefined }
        tokens.set(name, { ...token, hash: hashOf(secret) })
        yield* PubSub.publish(changed, undefined)
        return { token, secret: Redacted.make(secret) }
      }),
      remove: (name) =>
        Effect.tap(Effect.sync(() => tokens.delete(name)), () => PubSub.publish(changed, undefined)),
      used: (names, day) =>
        Effect.sync(() => {
          for (const name of names) {
            const token = tokens.get(name)
            if (token === undefined || (token.lastUsedOn ?? "") >= day) continue
            tokens.set(name, { ...token, lastUsedOn: day })
          }
        }),
      hints: Stream.fromPubSub(changed)
    })
  })
)
