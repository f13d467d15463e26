/** Each promise of docs/security.md names a test that is there. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "vitest"

const rows = [...readFileSync("docs/security.md", "utf8").matchAll(/^\| (.+?) \| `([\w./-]+\.ts)`: (.+) \|$/gm)]

it("docs/security.md names tests that are there", () => {
  assert.isAbove(rows.length, 25)
  const missing = rows.filter(([, , file = "", name = ""]) => !readFileSync(join("test", file), "utf8").includes(name))
  assert.deepStrictEqual(missing.map(([row]) => row), [])
})
