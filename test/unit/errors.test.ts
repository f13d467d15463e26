/** Every code of the databases' errors is a heading of docs/errors.md, so that nobody meets one that is not explained. */
import { assert, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const made = /(?:code: |failure\(\s*|fault\(\s*|refused\(\s*|because\(\s*|fail\(\s*(?:slotName,\s*)?)"([A-Z][a-z]+[A-Za-z]*)"/g

it("docs/errors.md has a heading for each code", () => {
  const headings = new Set([...readFileSync("docs/errors.md", "utf8").matchAll(/^## (\w+)$/gm)].map((match) => match[1]))
  const codes = new Set(globSync("src/layers/postgres/**/*.ts").flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(made)].map((match) => match[1])))
  assert.isAbove(codes.size, 30)
  assert.deepStrictEqual([...codes].filter((code) => !headings.has(code)), [])
})
