import { assert, it } from "vitest"
import { fields, hostOf } from "../../../src/services/Audit.ts"
import * as ApiViews from "../../../src/services/ApiViews.ts"

it("keeps host and port of a URL, and nothing else", () => {
  assert.strictEqual(hostOf("https://u:p@h.example:8443/x?y=z#f"), "h.example:8443")
  assert.strictEqual(hostOf("https://h.example/x"), "h.example")
  for (const text of ["", "nonsense", "file:///etc/passwd", "javascript:1", "u:p@h"]) assert.strictEqual(hostOf(text), "", text)
  assert.deepStrictEqual(fields({ action: "subscribe", url: "http://u:p@h/x" }, "ci"), { audit: "subscribe", who: "ci", host: "h" })
  assert.deepStrictEqual(fields({ action: "token.add", details: { token: "a" } }, "local"), { audit: "token.add", who: "local", token: "a" })
})

it("a URL is shown by scope", () => {
  const url = "https://u:p@h.example/x?key=s3cret"
  assert.strictEqual(ApiViews.url(url, "manage"), "https://***@h.example/x?key=s3cret")
  assert.strictEqual(ApiViews.url(url, "read"), "https://h.example/x")
  assert.strictEqual(ApiViews.url("u:p@nonsense", "read"), "(no URL)")
})
