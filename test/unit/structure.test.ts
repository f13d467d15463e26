import { globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { assert, describe, it } from "vitest"
import { version } from "../../src/version.ts"

const allowed: Record<string, RegExp> = { domain: /^domain\//, services: /^(domain|services)\//, layers: /^(domain|services|layers)\// }
/** Pure parts of `effect` are fine in the domain; these run something or read a clock. */
const impure = /^effect\/(Effect|Layer|Context|Stream|Clock|Fiber|Queue|Scope|Ref|Runtime)$/
/** Drivers, each with the one folder that may import it. */
const drivers: Record<string, RegExp> = {
  "undici": /^layers\/http\//, "@effect/sql-pg": /^layers\/postgres\//, "pg-logical-replication": /^layers\/postgres\//,
  "yaml": /^layers\/settings\//, "@effect/platform-node": /^layers\/(http|cli)\//
}
const importOf = /(?:import|export)\s+(type\s+)?[^"';]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g

const files = globSync("src/**/*.ts").toSorted()
const read = (file: string) => readFileSync(file, "utf8")

describe("imports point inward", () => {
  for (const file of globSync("src/{domain,services,layers}/**/*.ts").toSorted()) {
    it(file, () => {
      const here = relative("src", file)
      const [zone = "", technology = ""] = here.split("/")
      for (const [, , fixed, dynamic] of read(file).matchAll(importOf)) {
        const from = fixed ?? dynamic ?? ""
        if (zone === "domain") {
          assert.notMatch(from, impure)
          assert.notMatch(from, /^node:/)
        }
        const driver = Object.keys(drivers).find((name) => from === name || from.startsWith(`${name}/`))
        if (driver !== undefined) assert.match(here, drivers[driver]!, `${from} belongs to one folder`)
        assert.isFalse(from === "effect", "module paths, not the barrel")
        if (!from.startsWith(".")) continue
        assert.match(from, /\.ts$/)
        const target = relative("src", join(dirname(file), from))
        if (target === "version.ts" || technology === "postgres" && target.startsWith("../migrations/")) continue
        assert.match(target, allowed[zone]!, `${here} imports ${target}`)
        if (!target.startsWith("layers/") || technology === "app") continue
        assert.include(technology === "cli" ? ["cli", "app"] : [technology], target.split("/")[1], `${here} imports ${target}`)
      }
    })
  }
})

describe("budgets", () => {
  it("no file of src is longer than 400 lines", () => {
    assert.deepStrictEqual(files.filter((file) => read(file).split("\n").length > 400), [])
  })
  it("main.ts is at most 100 lines", () => {
    assert.isAtMost(read("src/main.ts").split("\n").length, 100)
  })
  it("there is no folder for odds and ends", () => {
    assert.deepStrictEqual(files.filter((file) => /(^|\/)(utils?|common|helpers?|manager)(\.ts|\/)/i.test(file)), [])
  })
  it("nothing is left to be done in a comment", () => {
    assert.deepStrictEqual(files.filter((file) => /\b(TODO|FIXME|XXX)\b/.test(read(file))), [])
  })
})

it("version.ts says what package.json says", () => {
  const { version: published } = JSON.parse(read("package.json")) as { readonly version: string }
  assert.strictEqual(version, published)
})
