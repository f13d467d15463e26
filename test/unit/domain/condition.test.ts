import * as Schema from "effect/Schema"
import { assert, describe, it } from "@effect/vitest"
import * as Condition from "../../../src/domain/Condition.ts"

describe("a condition", () => {
  it("is any one expression", () => {
    for (const good of [
      "id > 1000", "name = 'it''s; -- (fine)'", "\"odd)name\" IS NULL", "tags[1] = 'a' AND (a OR (b))", "a ->> 'k' = '[' ", "E'\\n' <> x",
      "id IN (SELECT 1)", "x = 'a\nb'", "a - -1 > 0", "path = 'c:\\dir'", "''=''"
    ]) assert.isUndefined(Condition.problem(good), good)
  })
  it("cannot end the parentheses, the statement, or hide what follows", () => {
    for (const [bad, why] of [
      ["", "empty"], ["  ", "empty"], ["true) OR (true", "did not open"], ["true; DROP TABLE t", "semicolon"], ["true --", "comment"],
      ["true /* x", "comment"], ["x = 'open", "not closed"], ["\"open", "name that is not closed"], ["(a", "not closed"], ["a]", "did not open"],
      ["(a]", "did not open"], ["x = $1", "dollar"], ["x = $$;$$", "dollar"], ["x = E'\\') OR (''='", "backslash"], ["a\0b", "NUL"],
      [`x = '${"a".repeat(5_000)}'`, "longer than 4096 bytes"], ["true) UNION SELECT secret FROM other WHERE (true", "did not open"]
    ] as const) assert.include(Condition.problem(bad) ?? "nothing", why, bad)
  })
  it.prop("never throws, and holds what the statement needs", { text: Schema.String }, ({ text }) => {
    if (Condition.problem(text) === undefined) assert.isTrue(Condition.sql(text).endsWith("\n)"))
  })
})
