import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import { parseNoProxy, parseProxy, proxyFor } from "../../../src/domain/ProxyRules.ts"

const proxy = (text: string) => Result.getOrThrow(parseProxy(text))
const failure = (text: string) => Result.isFailure(parseProxy(text)) ? (parseProxy(text) as Result.Failure<never, string>).failure : undefined

describe("ProxyRules", () => {
  it("reads a proxy with and without scheme, port and userinfo", () => {
    const facts = (text: string) => [proxy(text).secure, proxy(text).host, proxy(text).port]
    assert.deepStrictEqual(facts("http://proxy.internal:3128"), [false, "proxy.internal", 3128])
    assert.deepStrictEqual(facts("proxy.internal:3128/"), [false, "proxy.internal", 3128])
    assert.deepStrictEqual(facts("proxy"), [false, "proxy", 80])
    assert.deepStrictEqual(facts("https://Proxy.Internal"), [true, "proxy.internal", 443])
    assert.deepStrictEqual(facts("http://[::1]:8080"), [false, "::1", 8080])
    const { authorization } = proxy("http://user:p%40ss@proxy:1")
    assert.strictEqual(Redacted.value(authorization!), `Basic ${Buffer.from("user:p@ss").toString("base64")}`)
    assert.isUndefined(proxy("http://proxy").authorization)
    assert.notInclude(JSON.stringify(proxy("http://user:p%40ss@proxy:1")), "p@ss")
  })

  it("says what it cannot use, without the text", () => {
    assert.include(failure("socks5://user:hush@proxy:1080"), "socks5")
    assert.isDefined(failure("http://:80"))
    assert.isDefined(failure("http://user:hush@pro xy"))
    for (const text of ["socks5://user:hush@proxy:1080", "http://user:hush@pro xy"]) assert.notInclude(failure(text), "hush")
  })

  it("goes by the scheme of the endpoint", () => {
    const [http, https] = [proxy("http://a"), proxy("http://b")]
    const both = { http, https, noProxy: [] }
    assert.strictEqual(proxyFor(both, "http://x"), http)
    assert.strictEqual(proxyFor(both, "https://x"), https)
    assert.isUndefined(proxyFor({ ...both, http: undefined }, "http://x"))
  })

  const cases: ReadonlyArray<readonly [noProxy: string, direct: ReadonlyArray<string>, proxied: ReadonlyArray<string>]> = [
    ["", [], ["http://a.example", "http://localhost", "http://127.0.0.1"]],
    ["*", ["http://a.example", "https://10.0.0.1:8443"], []],
    ["example.com", ["http://example.com", "https://www.example.com:8443", "http://EXAMPLE.com."], ["http://notexample.com", "http://example.com.evil.net", "http://com"]],
    [".example.com", ["http://example.com", "http://a.b.example.com"], ["http://example.org"]],
    ["*.example.com", ["http://a.example.com"], ["http://example.org"]],
    ["localhost,127.0.0.1, [::1]  ::2", ["http://localhost:9900", "http://127.0.0.1", "http://[::1]:80", "http://[0:0:0:0:0:0:0:2]", "http://[::ffff:127.0.0.1]"], ["http://127.0.0.2", "http://[::3]", "http://a.example"]],
    ["a.example:8443,10.0.0.1:81", ["https://a.example:8443", "https://x.a.example:8443", "http://10.0.0.1:81"], ["https://a.example", "http://10.0.0.1"]],
    ["a.example:443", ["https://a.example"], ["http://a.example"]],
    ["0.0.1", [], ["http://10.0.0.1"]],
    [" , ,, ", [], ["http://a.example"]]
  ]
  for (const [text, direct, proxied] of cases) {
    it(`NO_PROXY=${JSON.stringify(text)}`, () => {
      const proxies = { http: proxy("http://a"), https: proxy("http://a"), noProxy: parseNoProxy(text) }
      for (const url of direct) assert.isUndefined(proxyFor(proxies, new URL(url).origin), url)
      for (const url of proxied) assert.isDefined(proxyFor(proxies, new URL(url).origin), url)
    })
  }
})
