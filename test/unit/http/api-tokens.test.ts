/** Which tokens are let in, without a store. */
import * as Redacted from "effect/Redacted"
import { assert, describe, it } from "vitest"
import type { StoredToken } from "../../../src/services/ApiTokens.ts"
import { hashOf } from "../../../src/services/ApiTokens.ts"
import { local } from "../../../src/services/ApiCaller.ts"
import * as ApiTokenSet from "../../../src/layers/http/ApiTokenSet.ts"

const stored = (name: string, secret: string, more: Partial<StoredToken> = {}): StoredToken => ({
  name, scope: "read", createdAtMs: 0, expiresAtMs: undefined, lastUsedOn: undefined, hash: hashOf(secret), ...more
})
const set = (configured: string | undefined, known: ReadonlyArray<StoredToken> | undefined) => {
  const used: Array<readonly [string, string]> = []
  const tokens = ApiTokenSet.over(
    configured === undefined ? undefined : Redacted.make(configured), () => known, (name, day) => used.push([name, day])
  )
  return { tokens, used, find: (header?: string, nowMs = 0) => tokens.find(header, nowMs) }
}
const CI = stored("ci", "pgstream_ci", { scope: "manage" })

describe("who is let in", () => {
  it("everybody while there is no token at all", () => {
    const { find, tokens } = set(undefined, [])
    assert.deepStrictEqual([find(), find("Bearer x"), find("nonsense")], [local, local, local])
    assert.isFalse(tokens.required())
  })
  it("as soon as there is one, nobody without: an expired one counts", () => {
    const { find, tokens } = set(undefined, [stored("old", "pgstream_old", { expiresAtMs: 5 })])
    assert.strictEqual(find(undefined, 10), "missing")
    assert.strictEqual(find("Bearer pgstream_old", 10), "expired")
    assert.deepStrictEqual(find("Bearer pgstream_old", 4), { name: "old", scope: "read" })
    assert.isTrue(tokens.required())
  })
  it("the configured one, and each stored one with its own scope", () => {
    const { find } = set("conf", [stored("r", "pgstream_r"), CI])
    assert.deepStrictEqual(find("bearer  conf "), { name: "PGSTREAM_API_TOKEN", scope: "manage" })
    assert.deepStrictEqual(find("Bearer pgstream_r"), { name: "r", scope: "read" })
    assert.deepStrictEqual(find("Bearer pgstream_ci"), { name: "ci", scope: "manage" })
    for (const header of ["", "Bearer", "Bearer con", "Bearer conff", "Basic conf", "conf", "Bearer conf x", `Bearer ${CI.hash.toString()}`]) {
      assert.strictEqual(find(header), "wrong", header)
    }
    assert.strictEqual(find(), "missing")
  })
  it("before the store has answered, only the configured one", () => {
    assert.deepStrictEqual(set("conf", undefined).find("Bearer conf"), { name: "PGSTREAM_API_TOKEN", scope: "manage" })
    for (const { find, tokens } of [set("conf", undefined), set(undefined, undefined)]) {
      assert.strictEqual(find(), "unknown")
      assert.strictEqual(find("Bearer x"), "unknown")
      assert.isTrue(tokens.required())
    }
  })
})

it("a use is noted once a day for each token", () => {
  const DAY = 86_400_000
  const { find, used } = set(undefined, [CI, stored("r", "pgstream_r")])
  for (const ms of [0, 1, DAY - 1, DAY]) find("Bearer pgstream_ci", ms)
  find("Bearer pgstream_r", DAY)
  find("Bearer wrong", DAY)
  assert.deepStrictEqual(used, [["ci", "1970-01-01"], ["ci", "1970-01-02"], ["r", "1970-01-02"]])
})
