/** No Docker engine here: the files are parsed and held to what they must have, not run. */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { assert, describe, it } from "vitest"
import { parse } from "yaml"
import { resolve } from "../../../src/layers/settings/Resolve.ts"
import * as Result from "effect/Result"

interface Service {
  readonly image?: string
  readonly build?: string
  readonly profiles: ReadonlyArray<string>
  readonly command?: ReadonlyArray<string>
  readonly environment?: Record<string, string>
  readonly ports?: ReadonlyArray<string>
}

const compose = parse(readFileSync("compose.yaml", "utf8")) as { readonly services: Record<string, Service> }

describe("compose.yaml", () => {
  it("has Postgres with wal_level=logical alone in the profile pg2webhook", () => {
    const services = Object.entries(compose.services).filter(([, service]) => service.profiles.includes("pg2webhook"))
    assert.deepStrictEqual(services.map(([name]) => name), ["source_db"])
    assert.include(services[0]?.[1].command ?? [], "wal_level=logical")
    assert.deepStrictEqual(services[0]?.[1].ports, ["127.0.0.1:5432:5432"])
  })
  it("publishes ports on loopback alone", () => {
    for (const service of Object.values(compose.services)) for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
  })
  it("configures our service in a way that the service accepts", () => {
    const env = compose.services["pgstream"]?.environment ?? {}
    const { problems, warnings } = resolve({ env, file: undefined, flags: {}, readFile: () => Result.fail("") }, { target: true })
    assert.deepStrictEqual([...problems, ...warnings], [])
  })
  it("is what the tutorial's path includes", () => {
    const { include } = parse(readFileSync("build/docker/docker-compose.yml", "utf8")) as { readonly include: ReadonlyArray<string> }
    assert.deepStrictEqual(include, ["../../compose.yaml"])
  })
})

describe("Dockerfile", () => {
  const lines = readFileSync("Dockerfile", "utf8").replaceAll("\\\n", " ").split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"))
  it("has only instructions that there are", () => {
    for (const line of lines) assert.match(line.trim(), /^(FROM|WORKDIR|COPY|RUN|LABEL|ENV|USER|EXPOSE|HEALTHCHECK|CMD|STOPSIGNAL|ENTRYPOINT)\s/)
  })
  it("runs as a user that is not root, with a health check, from files that are there", () => {
    const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM")))
    assert.include(last, "USER node")
    assert.isTrue(last.some((line) => line.startsWith("HEALTHCHECK")))
    for (const line of lines.filter((l) => l.startsWith("COPY") && !l.includes("--from"))) {
      for (const path of line.split(/\s+/).slice(1, -1)) assert.isTrue(existsSync(path), path)
    }
  })
})

describe("the health check of the image", () => {
  const line = readFileSync("Dockerfile", "utf8").replaceAll("\\\n", " ").split("\n").find((text) => text.startsWith("HEALTHCHECK")) ?? ""
  const [command = "", ...args] = JSON.parse(line.slice(line.indexOf("["))) as ReadonlyArray<string>
  it.each([["127.0.0.1", 200, 0], ["", 200, 0], ["0.0.0.0", 200, 0], ["127.0.0.1", 503, 1]] as const)("asks %j: %i is %i", async (host, status, code) => {
    assert.strictEqual(command, "node")
    const server = createServer((request, response) => response.writeHead(request.url === "/ready" ? status : 404).end())
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const child = spawn(process.execPath, args, { env: { PGSTREAM_HEALTH_CHECK_ADDRESS: `${host}:${port}` }, stdio: "ignore" })
    const exit = await new Promise((resolve) => child.once("exit", resolve))
    server.close()
    assert.strictEqual(exit, code)
  })
})

describe("npm run webhook", () => {
  it("says how it is used, exit 2", () => {
    const { status, stderr } = spawnSync(process.execPath, ["tools/webhook/main.ts", "--help"], { encoding: "utf8" })
    assert.strictEqual(status, 2)
    assert.include(stderr, "Usage: npm run webhook")
    assert.notInclude(stderr, "    at ")
  })
})

describe(".ci/run", () => {
  it("is bash that parses", () => {
    execFileSync("bash", ["-n", ".ci/run"])
  })
})

describe("bin/pgstream.cjs", () => {
  it("says in one line what to do on an old Node, exit 4", () => {
    const old = spawnSync(process.execPath, ["-e", "Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); require('./bin/pgstream.cjs')"], { encoding: "utf8" })
    assert.strictEqual(old.status, 4)
    assert.match(old.stderr, /^pgstream needs Node 22\.19 or newer, this is 20\.20\.2: [^\n]+NodeTooOld\n$/)
  })
  it("is old JavaScript: nothing that a Node of 2016 does not parse, the import apart", () => {
    const text = readFileSync("bin/pgstream.cjs", "utf8").replace("import(", "load(")
    assert.notMatch(text, /=>|\bconst\b|\blet\b|`|\?\?|\?\./)
  })
})
