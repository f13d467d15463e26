/** docs/compatibility.md is what the rules say. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { rules } from "../../../conformance/rules.ts"
import { text } from "../../../scripts/compatibilityText.ts"

describe("docs/compatibility.md", () => {
  it("is current: npm run compatibility", () => {
    assert.strictEqual(readFileSync(join(import.meta.dirname, "../../../docs/compatibility.md"), "utf8"), text)
  })

  it("has rules with names of their own, which name no scenario", () => {
    assert.lengthOf(new Set(rules.map((rule) => rule.id)), rules.length)
    for (const { explains, reason, rewrites } of rules) {
      assert.notMatch(`${reason} ${explains?.toString() ?? ""} ${rewrites?.toString() ?? ""}`, /\b\d\d_[a-z]/)
    }
  })
})
