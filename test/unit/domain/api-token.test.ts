import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import * as ApiToken from "../../../src/domain/ApiToken.ts"

const DAY = 86_400_000

describe("lifetimeMs", () => {
  it.each([["90d", 90 * DAY], ["12h", DAY / 2], ["30m", 1_800_000], ["2w", 14 * DAY], ["3650d", 3_650 * DAY]])("reads %s", (text, ms) => {
    assert.deepStrictEqual(ApiToken.lifetimeMs(text), Result.succeed(ms))
  })
  it.each(["", "90", "d", "-1d", "1.5d", "0d", "90 d", "3651d", "9999999m", "1y", "90D"])("refuses \"%s\"", (text) => {
    assert.isTrue(Result.isFailure(ApiToken.lifetimeMs(text)))
  })
})

describe("nameProblem", () => {
  it.each(["a", "Grafana", "ci-1", "a.b", "x".repeat(63)])("takes %s", (name) => {
    assert.isUndefined(ApiToken.nameProblem(name))
  })
  it.each(["", "-a", ".a", "a b", "a/b", "a_b", "PGSTREAM_API_TOKEN", "local", "é", "a\n", "x".repeat(64)])("refuses \"%s\"", (name) => {
    assert.isString(ApiToken.nameProblem(name))
  })
})

it("read asks, manage does", () => {
  for (const method of ["GET", "HEAD"]) assert.isTrue(ApiToken.allows("read", method))
  for (const method of ["POST", "PATCH", "DELETE", "PUT", "OPTIONS", "get"]) {
    assert.isFalse(ApiToken.allows("read", method))
    assert.isTrue(ApiToken.allows("manage", method))
  }
})

it("ends at its moment, not a millisecond later", () => {
  assert.isFalse(ApiToken.isExpired({ expiresAtMs: 10 }, 9))
  assert.isTrue(ApiToken.isExpired({ expiresAtMs: 10 }, 10))
  assert.isFalse(ApiToken.isExpired({ expiresAtMs: undefined }, Number.MAX_SAFE_INTEGER))
})
