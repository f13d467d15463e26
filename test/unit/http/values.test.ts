import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import * as WebhookUrl from "../../../src/domain/WebhookUrl.ts"
import { MAX_RETRY_AFTER_MS, parseRetryAfter } from "../../../src/layers/http/RetryAfter.ts"

describe("parseRetryAfter", () => {
  const now = Date.UTC(1994, 10, 6, 8, 49, 0)

  it("reads seconds, and the three forms of an HTTP date, in any time zone", () => {
    const cases: ReadonlyArray<readonly [string, number]> = [
      ["0", 0], ["120", 120_000], [" 7 ", 7_000],
      ["Sun, 06 Nov 1994 08:49:37 GMT", 37_000],
      ["Sunday, 06-Nov-94 08:49:37 GMT", 37_000],
      ["Sun Nov  6 08:49:37 1994", 37_000]
    ]
    for (const [text, ms] of cases) assert.strictEqual(parseRetryAfter(text, now), ms, text)
  })

  it("a time that is past is none, a long one is a day", () => {
    assert.strictEqual(parseRetryAfter("Sun, 06 Nov 1994 08:48:00 GMT", now), 0)
    assert.strictEqual(parseRetryAfter("9999999999", now), MAX_RETRY_AFTER_MS)
    assert.strictEqual(parseRetryAfter("Sun, 06 Nov 2094 08:48:00 GMT", now), MAX_RETRY_AFTER_MS)
  })

  it("anything else is no wait at all", () => {
    for (const text of ["", "-5", "1.5", "soon", "5s", "99999999999", "Sun, 99 Nov 1994 08:49:37 GMT", "2030-01-01T00:00:00Z"]) {
      assert.isUndefined(parseRetryAfter(text, now), text)
    }
  })
})

describe("WebhookUrl", () => {
  const parsed = (text: string) => Result.getOrUndefined(WebhookUrl.parse(text))

  it("takes a URL apart: userinfo decoded and as Basic, no fragment", () => {
    assert.deepStrictEqual(parsed("https://us%3Aer:p%40ss@Example.com:8443/a%20b?c=d#e"), {
      origin: "https://example.com:8443", path: "/a%20b?c=d",
      authorization: `Basic ${Buffer.from("us:er:p@ss").toString("base64")}`
    })
    assert.deepStrictEqual(parsed("http://[::1]:9910"), { origin: "http://[::1]:9910", path: "/", authorization: undefined })
    assert.strictEqual(parsed("http://only@a/")?.authorization, `Basic ${Buffer.from("only:").toString("base64")}`)
    assert.strictEqual(parsed("http://%E0%A4%A@a/")?.authorization, `Basic ${Buffer.from("%E0%A4%A:").toString("base64")}`)
  })

  it("refuses the rest in words that show nothing of it", () => {
    for (const text of ["", "s3cret", "/s3cret", "ftp://s3cret@a/", "http://", "javascript:s3cret", `http://a/${"s3cret".repeat(400)}`]) {
      const result = WebhookUrl.parse(text)
      if (!Result.isFailure(result)) assert.fail(text)
      assert.notInclude(result.failure.message, "s3cret")
    }
  })

  it("shows a URL without its userinfo, and for logs without its query", () => {
    assert.strictEqual(WebhookUrl.withoutUserinfo("http://u:p@a/x?y=z"), "http://***@a/x?y=z")
    assert.strictEqual(WebhookUrl.withoutUserinfo("HTTP://A/x?y"), "HTTP://A/x?y")
    assert.strictEqual(WebhookUrl.withoutUserinfo("u:p@nonsense"), "(no URL)")
    assert.strictEqual(WebhookUrl.withoutUserinfo("nonsense"), "nonsense")
    assert.strictEqual(WebhookUrl.describe("http://u:p@a/x?y=z"), "http://a/x")
    for (const text of ["u:p@nonsense", "//u:p@a", ""]) assert.strictEqual(WebhookUrl.describe(text), "(no URL)")
  })
})
