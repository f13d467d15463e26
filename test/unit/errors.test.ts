/** Every code that the program can end or answer with is a heading of docs/errors.md. */
import { assert, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const made = /(?:code: |failure\(\s*|fault\(\s*|refused\(\s*|because\(\s*|fail\(\s*(?:slotName,\s*)?|changed\(\s*(?:true|false),\s*|failed\(\s*|common\(\s*)"([A-Z][a-z]+[A-Za-z]*)"/g

it("docs/errors.md has a heading for each code", () => {
  const headings = new Set([...readFileSync("docs/errors.md", "utf8").matchAll(/^## (\w+)$/gm)].map((match) => match[1]))
  const codes = new Set(globSync("src/**/*.ts").flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(made)].map((match) => match[1])))
  assert.isAbove(codes.size, 45)
  assert.includeMembers([...codes], ["SlotMissing", "SystemChanged", "HeartbeatFailed", "AddressInUse"])
  assert.deepStrictEqual([...codes].filter((code) => !headings.has(code)), [])
})
