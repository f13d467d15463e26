/** The contract of `ApiTokens`, run once per implementation. Names of a test are its own. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as ApiToken from "../../src/domain/ApiToken.ts"
import { ApiTokens, hashOf } from "../../src/services/ApiTokens.ts"

const newName = () => `t-${randomUUID()}`

export const suite = <E>(name: string, layer: Layer.Layer<ApiTokens, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ApiTokens (${name})`, (it) => {
    it.effect("hands the token out once, and keeps its hash", () =>
      Effect.gen(function*() {
        const tokens = yield* ApiTokens
        const [first, second] = [newName(), newName()].toSorted()
        const expiresAtMs = Date.now() + 60_000
        const made = yield* tokens.add({ name: second!, scope: "manage", expiresAtMs })
        const other = yield* tokens.add({ name: first!, scope: "read", expiresAtMs: undefined })
        const secret = Redacted.value(made.secret)
        assert.match(secret, /^pgstream_[A-Za-z0-9_-]{43}$/)
        assert.notStrictEqual(secret, Redacted.value(other.secret))
        const mine = (yield* tokens.list).filter((token) => token.name === first || token.name === second)
        assert.deepStrictEqual(mine.map((token) => [token.name, token.scope, token.expiresAtMs]), [
          [first, "read", undefined], [second, "manage", expiresAtMs]
        ])
        assert.isTrue(hashOf(secret).equals(mine[1]!.hash))
        assert.notInclude(JSON.stringify(mine), secret)
        assert.isTrue(Math.abs(made.token.createdAtMs - Date.now()) < 3_600_000)
      }))

    it.effect("a name is taken until its token is removed", () =>
      Effect.gen(function*() {
        const tokens = yield* ApiTokens
        const token = { name: newName(), scope: "read" as const, expiresAtMs: undefined }
        yield* tokens.add(token)
        const refused = yield* Effect.flip(tokens.add(token))
        assert.deepInclude(refused, { _tag: "ApiTokenRefused", reason: "NameTaken" })
        assert.isTrue(yield* tokens.remove(token.name))
        assert.isFalse(yield* tokens.remove(token.name))
        yield* tokens.add(token)
      }))

    it.effect("the last day of use only goes forward", () =>
      Effect.gen(function*() {
        const tokens = yield* ApiTokens
        const { token } = yield* tokens.add({ name: newName(), scope: "read", expiresAtMs: undefined })
        const day = Effect.map(tokens.list, (all) => all.find(({ name }) => name === token.name)?.lastUsedOn)
        assert.isUndefined(yield* day)
        yield* tokens.used([token.name, "nobody"], "2026-11-24")
        yield* tokens.used([token.name], "2026-11-23")
        assert.strictEqual(yield* day, "2026-11-24")
        yield* tokens.used([token.name], "2026-11-25")
        assert.strictEqual(yield* day, "2026-11-25")
      }))

    it.effect("a change is hinted", () =>
      Effect.gen(function*() {
        const tokens = yield* ApiTokens
        const hinted = yield* Effect.forkScoped(Stream.runHead(tokens.hints))
        // A hint may be missed while the listening begins: another change brings another one.
        while (hinted.pollUnsafe() === undefined) {
          yield* tokens.remove(newName())
          const { token } = yield* tokens.add({ name: newName(), scope: "read", expiresAtMs: undefined })
          yield* tokens.remove(token.name)
          yield* Effect.sleep("20 millis")
        }
        yield* Fiber.join(hinted)
      }))

    it.effect("there is a greatest number of them, exact when several are added at once", () =>
      Effect.gen(function*() {
        const tokens = yield* ApiTokens
        const add = Effect.suspend(() => tokens.add({ name: newName(), scope: "read", expiresAtMs: undefined }))
        while ((yield* tokens.list).length < ApiToken.MAX_TOKENS) yield* add
        for (let round = 0; round < 10; round++) {
          yield* tokens.remove((yield* tokens.list)[0]!.name)
          yield* Effect.all(Array.from({ length: 4 }, () => Effect.ignore(add)), { concurrency: "unbounded" })
          assert.strictEqual((yield* tokens.list).length, ApiToken.MAX_TOKENS)
        }
        assert.deepInclude(yield* Effect.flip(add), { _tag: "ApiTokenRefused", reason: "TooMany" })
      }))
  })
