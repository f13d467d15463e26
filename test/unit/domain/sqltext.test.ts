import { assert, it } from "vitest"
import { identifier, literal } from "../../../src/domain/SqlText.ts"

it("a name and a text stay what they are, whatever is in them", () => {
  assert.deepStrictEqual(["Orders", 'a"b""c', "it's", "x\\"].map(identifier), ['"Orders"', '"a""b""""c"', '"it\'s"', '"x\\"'])
  assert.deepStrictEqual(["Orders", "it's", "''", 'a"b', "x\\"].map(literal), ["'Orders'", "'it''s'", "''''''", `'a"b'`, "'x\\'"])
})
