import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Lsn from "../../../src/domain/Lsn.ts"

describe("Lsn", () => {
  it("parse inverts format", () => {
    for (const lsn of [0, 1, 2 ** 32 - 1, 2 ** 32, 0x16b374d848, Number.MAX_SAFE_INTEGER]) {
      assert.deepStrictEqual(Lsn.parse(Lsn.format(lsn)), Result.succeed(lsn))
    }
  })
  it("prints as Postgres does", () => assert.strictEqual(Lsn.format(0x16b374d848), "16/B374D848"))
  it("refuses what is no position, and what would be rounded", () => {
    for (const text of ["", "16", "16/", "16/XYZ", "FFFFFFFF/FFFFFFFF"]) assert.isTrue(Result.isFailure(Lsn.parse(text)))
  })
  it("read inverts write", () => {
    const bytes = Buffer.alloc(8)
    Lsn.write(bytes, 0, 0x16b374d848)
    assert.strictEqual(Lsn.read(bytes, 0), 0x16b374d848)
  })
})
