import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as JsonBytes from "../../../../src/domain/JsonBytes.ts"
import * as Lsn from "../../../../src/domain/Lsn.ts"

/** `JSON.stringify`, with golden's two escapes of its own. Character by character, so that it shares nothing with the code. */
const reference = (text: string): string =>
  [...text].map((char) => (char === "\b" ? "\\u0008" : char === "\f" ? "\\u000c" : JSON.stringify(char).slice(1, -1))).join("")

const written = (text: string): string => {
  const source = Buffer.from(`<<${text}>>`)
  const target = Buffer.alloc(source.length * JsonBytes.MAX_GROWTH, 0x21)
  const end = JsonBytes.writeEscaped(target, 3, source, 2, source.length - 2)
  assert.strictEqual(end - 3, JsonBytes.escapedSize(source, 2, source.length - 2))
  assert.strictEqual(target.toString("latin1", 0, 3), "!!!")
  assert.strictEqual(target[end], 0x21)
  return target.toString("utf8", 3, end)
}

describe("JSON text as bytes", () => {
  it.prop("is JSON.stringify's, but for \\b and \\f", { text: Schema.String }, ({ text }) => {
    const valid = Buffer.from(text).toString("utf8")
    assert.strictEqual(written(valid), reference(valid))
  }, { arbitrary: { runs: 2_000 } })

  it("is it for each character below U+0100, and those that others escape", () => {
    for (let code = 0; code < 0x100; code++) assert.strictEqual(written(String.fromCharCode(code)), reference(String.fromCharCode(code)))
    for (const text of ["\u2028\u2029", "\ufeff", "😀 👨‍👩‍👧", "<b>&'", "a\"b\\c/d", "\x7f", ""]) assert.strictEqual(written(text), reference(text))
  })

  it.prop("quote is the same for a JavaScript string", { text: Schema.String }, ({ text }) => {
    const valid = Buffer.from(text).toString("utf8")
    assert.strictEqual(JsonBytes.quote(valid), `"${reference(valid)}"`)
    assert.strictEqual(JSON.parse(JsonBytes.quote(valid)), valid)
  }, { arbitrary: { runs: 1_000 } })
  it("quote leaves an escaped backslash before a letter alone", () => {
    for (const text of ["\\b", "\\\b", "\\f\f", "\\\\b"]) assert.strictEqual(JsonBytes.quote(text), `"${reference(text)}"`)
  })
})

describe("a position as bytes", () => {
  it("is what Lsn.format prints", () => {
    const target = Buffer.alloc(40)
    for (const lsn of [0, 1, 15, 16, 0xabc, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 0x16b374d848, 2 ** 52 + 12_345, Number.MAX_SAFE_INTEGER]) {
      const end = JsonBytes.writeLsn(target, 1, lsn)
      assert.strictEqual(target.toString("latin1", 1, end), Lsn.format(lsn))
      assert.isAtMost(end - 1, JsonBytes.LSN_SIZE)
    }
  })
})
