import { globSync, readFileSync } from "node:fs"
import { assert, it } from "vitest"

it("docs/errors.md has a heading for each code that the command line and the demo end with", () => {
  const headings = new Set([...readFileSync("docs/errors.md", "utf8").matchAll(/^## (\w+)$/gm)].map((match) => match[1]))
  const files = [...globSync("src/layers/{app,cli,settings}/*.ts"), "bin/pgstream.cjs"]
  const codes = files.flatMap((file) => [
    ...[...readFileSync(file, "utf8").matchAll(/(?:code: |failed\()"(\w+)"/g)].map((match) => match[1]),
    ...[...readFileSync(file, "utf8").matchAll(/failed\(\s*[1-4],[\s\S]*?,\s*"([A-Z]\w+)"/g)].map((match) => match[1]),
    ...[...readFileSync(file, "utf8").matchAll(/ {2}([A-Z][a-z]+\w*)(?:\\n)?["`]/g)].map((match) => match[1])
  ])
  assert.includeMembers(codes, ["ConfigInvalid", "Usage", "NodeTooOld", "DemoRunning", "NotThereYet", "Defect", "TokenNameTaken", "Ambiguous"])
  assert.deepStrictEqual([...new Set(codes)].filter((code) => !headings.has(code)), [])
})
