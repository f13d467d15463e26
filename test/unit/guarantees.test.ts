/** Each promise of docs/guarantees.md names tests that are there. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "vitest"

const promises = readFileSync("docs/guarantees.md", "utf8").split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| promise |"))
  .map((line) => line.slice(2, -2).split(" | ") as [string, string])

/** `simulation/x.test.ts`: the beginning of the test's name. */
const tests = promises.flatMap(([promise, cell]) =>
  cell.split("<br>").flatMap((text) => [...text.matchAll(/^`([\w./-]+\.ts)`: (.+)$/g)].map(([, file = "", name = ""]) => ({ promise, file, name }))))

it("docs/guarantees.md names a test for each promise, and each of them is there", () => {
  assert.isAbove(promises.length, 55)
  const missing = tests.filter(({ file, name }) => !existsSync(join("test", file)) || !readFileSync(join("test", file), "utf8").includes(name))
  assert.deepStrictEqual(missing.map(({ file, name }) => `${file}: ${name}`), [])
  const named = new Set(tests.map(({ promise }) => promise))
  const bare = promises.filter(([promise, cell]) => !named.has(promise) && !/^(measured: `bench\/README\.md`|each in \[security\.md\])/.test(cell))
  assert.deepStrictEqual(bare.map(([promise]) => promise), [])
  // A name that does not parse is not passed over.
  for (const [promise, cell] of promises) {
    if (named.has(promise)) assert.strictEqual(tests.filter((test) => test.promise === promise).length, cell.split("<br>").length, promise)
  }
})
