/** The program as a whole: named tokens while it runs, audit lines, and that no subscriber sees anything of another. */
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, assert, it } from "vitest"
import { makeProgram } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"

const database = testDatabase("e2e_safety")
const program = await makeProgram({
  url: database.url, slot: `e2e_safety_${process.pid}`,
  settings: { PGSTREAM_SECRET_KEY: Buffer.alloc(32, 9).toString("base64"), PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms" }
})

interface Seen {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}
const seen: Array<Seen> = []
const refusing = new Set<string>()
const receiver = createServer((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => {
    const path = new URL(request.url!, "http://x").pathname
    seen.push({ path, headers: request.headers, body: Buffer.concat(parts).toString("utf8") })
    response.writeHead(refusing.has(path) ? 500 : 200).end(`answer of ${path}`)
  })
})
await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
afterAll(() => {
  receiver.close()
  receiver.closeAllConnections()
})
const base = `127.0.0.1:${(receiver.address() as AddressInfo).port}`

const api = (path: string, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${program.apiPort}${path}`, { headers })
const done = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await program.command(...args)
  assert.strictEqual(code, 0, stderr)
  return stdout.trim()
}

/** Everything that is one subscriber's own. */
interface Subscriber {
  readonly path: string
  readonly url: string
  readonly marks: ReadonlyArray<string>
}

const subscriber = async (name: string, table: string): Promise<Subscriber> => {
  const url = `http://user-${name}:pass-${name}@${base}/${name}?query=${name}-only`
  const { endpoint_id: endpoint, id } = JSON.parse(await done("subscriptions", "add", url, "--table", table, "--json")) as Record<string, string>
  const secret = await done("subscriptions", "rotate-secret", endpoint!)
  const answer = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${endpoint}`, {
    method: "PATCH", headers: { "content-type": "application/json" },
    body: JSON.stringify({ headers: { [`x-${name}-header`]: `value-${name}` } })
  })
  assert.strictEqual(answer.status, 200)
  const basic = Buffer.from(`user-${name}:pass-${name}`).toString("base64")
  return { path: `/${name}`, url, marks: [endpoint!, id!, secret.slice(6), basic, `pass-${name}`, `${name}-only`, `x-${name}-header`, `value-${name}`] }
}

it("a webhook's request names its own endpoint and nothing of another", async () => {
  await program.init()
  database.psql("CREATE TABLE shared (id int PRIMARY KEY); CREATE TABLE alone (id int PRIMARY KEY, note text)")
  const running = await program.run("--log-format", "json")
  const [ann, bob] = [await subscriber("ann", "shared"), await subscriber("bob", "shared")]
  const eve = await subscriber("eve", "alone")
  refusing.add(bob.path)
  database.psql("INSERT INTO shared VALUES (1), (2); INSERT INTO alone VALUES (1, 'only for eve')")
  await eventually("ann and eve have theirs, bob refused", () =>
    seen.filter(({ path }) => path === ann.path).length >= 2 && seen.some(({ path }) => path === bob.path)
    && seen.some(({ path }) => path === eve.path))
  refusing.clear()
  await done("subscriptions", "pause", bob.url)
  await done("subscriptions", "resume", bob.url)
  const accepted = () => new Set(seen.filter(({ path }) => path === bob.path).map(({ body }) => body)).size
  await eventually("bob has his two rows", () => accepted() >= 2)
  const all = [ann, bob, eve]
  for (const own of all) {
    const others = all.filter((other) => other !== own).flatMap(({ marks, path }) => [...marks, `${base}${path}`, `answer of ${path}`])
    const mine = seen.filter(({ path }) => path === own.path)
    for (const { body, headers } of mine) {
      assert.strictEqual(headers["webhook-endpoint"], own.marks[0])
      for (const other of others) assert.notInclude(JSON.stringify(headers) + body, other)
      if (own !== eve) assert.notInclude(body, "only for eve")
    }
    assert.isAbove(mine.length, 0)
  }
  for (const { marks } of all) for (const secret of marks.slice(2, 5)) assert.notInclude(running.stderr(), secret)
  const audits = running.stderr().split("\n").filter((line) => line.includes("\"audit\"")).map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepStrictEqual(audits.map(({ audit, changed, host, level, who }) => ({ audit, changed, host, level, who })),
    all.map(() => ({ audit: "endpoint.update", changed: "headers", host: base, level: "info", who: "local" })))
  const refused = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/subscribe`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ url: "nonsense", table: 7 })
  })
  const text = await refused.text()
  for (const { marks } of all) for (const mark of marks) assert.notInclude(text, mark)
}, 60_000)

it("tokens that are made and removed beside it hold within seconds, with the day of their use", async () => {
  const status = async (headers: Record<string, string> = {}) => (await api("/webhooks/subscriptions", headers)).status
  assert.strictEqual(await status(), 200)
  const token = await done("tokens", "add", "ci", "--scope", "manage")
  await eventually("a token is needed", async () => await status() === 401)
  const headers = { authorization: `Bearer ${token}` }
  assert.strictEqual(await status(headers), 200)
  await eventually("its use is noted", async () => /^ci +manage +\S+ +never +\d{4}-\d\d-\d\d$/m.test(await done("tokens", "list")))
  const read = { authorization: `Bearer ${await done("tokens", "add", "dash", "--scope", "read")}` }
  await eventually("read is in force", async () => await status(read) === 200)
  const text = await (await api("/webhooks/subscriptions", read)).text()
  assert.include(text, `http://${base}/ann`)
  assert.notMatch(text, /ann-only|\*\*\*/)
  for (const name of ["ci", "dash"]) await done("tokens", "remove", name)
  await eventually("both are refused", async () => await status() === 200)
}, 60_000)
