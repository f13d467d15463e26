/** Tools for deliveries through the binary: dead ones, retry, replay, purge, proof, with a service that runs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Webhook } from "standardwebhooks"
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, type RunningProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver, valueOf } from "../support/Receiver.ts"

const database = testDatabase("e2e_deliveries")
const noticed: Array<{ readonly headers: Record<string, string>; readonly body: string }> = []
const operator = createServer((request, response) => {
  let body = ""
  request.on("data", (part: Buffer) => body += part.toString())
  request.on("end", () => {
    noticed.push({ headers: request.headers as Record<string, string>, body })
    response.end()
  })
})
const operatorPort = await new Promise<number>((resolve) => {
  operator.listen(0, "127.0.0.1", () => resolve((operator.address() as AddressInfo).port))
})
const noticeSecret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`
const program = await makeProgram({
  url: database.url, slot: `e2e_deliveries_${process.pid}`,
  settings: {
    PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms", PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "200ms",
    PGSTREAM_WEBHOOK_DELIVERY_LOG_BODIES: "true", PGSTREAM_NOTICE_URL: `http://127.0.0.1:${operatorPort}/`, PGSTREAM_NOTICE_SECRET: noticeSecret
  }
})
const folder = mkdtempSync(join(tmpdir(), "pgstream-deliveries-"))
/** Rows that the receiver refuses for good, until it is mended. */
let bad: (received: Received) => boolean = ({ data }) => Number(valueOf(data.columns, "id")) % 5 === 0
const receiver = await startReceiver({ answer: (received) => ({ status: bad(received) ? 422 : 200 }) })
const elsewhere = await startReceiver({})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  operator.close()
  await Promise.all([receiver.close(), elsewhere.close()])
})

let running: RunningProgram

const run = async (...args: ReadonlyArray<string>) => {
  const ended = await program.command(...args)
  assert.strictEqual(ended.code, 0, `${args.join(" ")}: ${ended.stderr}`)
  return ended.stdout
}
const json = async (...args: ReadonlyArray<string>) => JSON.parse(await run(...args, "--json")) as never
interface Listed { readonly deliveries: ReadonlyArray<{ readonly id: string; readonly state: string; readonly sequence: number; readonly last_error: string; readonly endpoint_id: string }> }
interface Account { readonly count: number; readonly ranges: ReadonlyArray<{ readonly first: number; readonly last: number }> }
interface Proof { readonly endpoints: ReadonlyArray<Readonly<Record<"given", number> & Record<"delivered" | "waiting" | "dead" | "purged", Account>>> }
const listed = async (...args: ReadonlyArray<string>): Promise<Listed["deliveries"]> => (await json("deliveries", "list", ...args) as Listed).deliveries
const numbers = () => [...receiver.accepted.values()].map(({ sequence }) => sequence).sort((a, b) => a - b)
const api = (path: string) => fetch(`http://127.0.0.1:${program.apiPort}${path}`)
/** The same list over HTTP: quicker to ask again and again. */
const asked = async (query: string): Promise<Listed["deliveries"]> => (await (await api(`/webhooks/deliveries?${query}`)).json() as Listed).deliveries
const proof = async () => (await (await api("/webhooks/verify")).json() as Proof).endpoints[0]!

describe("an endpoint that refuses every fifth row", () => {
  it("has them as dead letters, with what was answered", async () => {
    database.psql("CREATE TABLE users (id int PRIMARY KEY, name text)")
    await program.init()
    running = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public" })).status, 201)
    database.psql("INSERT INTO users SELECT g, 'row ' || g FROM generate_series(1, 20) g")
    await eventually("four are dead", async () => (await asked("state=dead")).length === 4)
    const dead = await listed("--state", "dead", "--oldest")
    assert.deepStrictEqual(dead.map(({ last_error: error, sequence }) => [sequence, error]), [5, 10, 15, 20].map((n) => [n, "HTTP 422"]))
    assert.strictEqual((await listed("--key", "id=10")).length, 1)
    const shown = await run("deliveries", "show", dead[0]!.id, "--body")
    assert.include(shown, "HTTP 422")
    assert.include(shown, "row 5")
    assert.notInclude(await run("deliveries", "show", dead[0]!.id), "row 5")
    await eventually("the log has what was accepted", async () => (await asked("state=delivered")).length === 16)
    const [attempt] = await listed("--state", "failed") as unknown as ReadonlyArray<{ readonly at: string }>
    assert.isBelow(Math.abs(Date.parse(attempt!.at) - Date.now()), 120_000)
  }, 60_000)

  it("the operator had one signed notice of it", async () => {
    await eventually("a notice came", () => noticed.length > 0)
    new Webhook(noticeSecret).verify(noticed[0]!.body, noticed[0]!.headers)
    assert.deepStrictEqual(noticed.map(({ body }) => (JSON.parse(body) as { readonly type: string }).type), ["first_dead_letter"])
    assert.notInclude(noticed[0]!.body, "row ")
  })

  it("verify accounts for every number, and finds what the receiver's list lacks", async () => {
    const [proof] = (await json("verify") as Proof).endpoints
    assert.deepStrictEqual([proof!.given, proof!.delivered.count, proof!.dead.count], [20, 16, 4])
    assert.deepStrictEqual(proof!.dead.ranges.map(({ first }) => first), [5, 10, 15, 20])
    const file = join(folder, "received.txt")
    writeFileSync(file, `${numbers().join("\n")}\n`)
    assert.include(await run("verify", "--received", file), "Nothing is missing.")
    writeFileSync(file, numbers().filter((n) => n !== 7).map((n) => `{"webhook-sequence":"${n}"}\n`).join(""))
    const ended = await program.command("verify", "--received", file)
    assert.strictEqual(ended.code, 1)
    assert.match(ended.stdout, /^MISSING: 7 \(1\)$/m)
    assert.strictEqual((await (await api("/webhooks/verify")).json() as Proof).endpoints[0]!.given, 20)
  }, 60_000)

  it("replay to another URL changes nothing of them", async () => {
    const text = await run("deliveries", "replay", "--state", "dead", "--to", elsewhere.url, "--rate", "100/s")
    assert.match(text, /is done: 4 deliveries/)
    assert.deepStrictEqual([...elsewhere.accepted.values()].map(({ data }) => valueOf(data.columns, "id")), [5, 10, 15, 20])
    assert.sameMembers([...elsewhere.accepted.keys()], (await listed("--state", "dead")).map(({ id }) => id))
  }, 60_000)

  it("purge of a key erases it for good, and its number is accounted for", async () => {
    const text = await run("deliveries", "purge", "--key", "id=10", "--table", "public.users")
    assert.match(text, /is done: 1 delivery\b/)
    assert.deepStrictEqual((await listed("--state", "dead", "--oldest")).map(({ sequence }) => sequence), [5, 15, 20])
    const [proof] = (await json("verify") as Proof).endpoints
    assert.deepStrictEqual([proof!.dead.count, proof!.purged.ranges], [3, [{ first: 10, last: 10 }]])
  }, 60_000)

  it("mended, retry sends what is dead under the same ids", async () => {
    const ids = (await listed("--state", "dead")).map(({ id }) => id)
    bad = () => false
    assert.match(await run("deliveries", "retry", "--state", "dead"), /is done: 3 deliveries/)
    await eventually("they are accepted", () => ids.every((id) => receiver.accepted.has(id)))
    await eventually("none is left", async () => (await asked("")).length === 0)
    await eventually("and delivered", async () => (await proof()).delivered.count === 19)
    assert.deepStrictEqual(numbers(), Array.from({ length: 20 }, (_, i) => i + 1).filter((n) => n !== 10))
  }, 60_000)

  it("what was delivered comes again, where the log has its body; orders that mean nothing are refused", async () => {
    const again = [...receiver.accepted.values()].find(({ sequence }) => sequence === 3)!
    assert.match(await run("deliveries", "replay", "--id", again.id), /is done: 1 delivery\b/)
    await eventually("it came again", () => receiver.requests.filter(({ id }) => id === again.id).length > 1)
    for (const kind of ["retry", "replay", "purge"]) assert.strictEqual((await program.command("deliveries", kind)).code, 2)
    const answer = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/deliveries/purge`, {
      method: "POST", headers: { "content-type": "application/json" }, body: "{}"
    })
    assert.strictEqual(answer.status, 400)
  }, 60_000)

  it("what is purged while it waits in a segment is never sent, also after kill -9; the others are", async () => {
    const pause = (paused: boolean) => fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${[...receiver.accepted.values()][0]!.endpoint}`, {
      method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ paused })
    })
    assert.strictEqual((await pause(true)).status, 200)
    database.psql("INSERT INTO users SELECT g, 'row ' || g FROM generate_series(101, 110) g")
    await eventually("they wait", async () => (await proof()).waiting.count === 10)
    assert.match(await run("deliveries", "purge", "--key", "id=105", "--table", "public.users"), /is done: 1 delivery\b/)
    const { purged, waiting } = await proof()
    assert.deepStrictEqual([purged.count, waiting.count], [2, 9])
    await running.crash()
    running = await program.run()
    assert.strictEqual((await pause(false)).status, 200)
    await eventually("the others come", () => [...receiver.values("id")].filter((id) => Number(id) > 100).length === 9)
    await eventually("all are accounted for", async () => (await proof()).delivered.count === 28)
    assert.notInclude([...receiver.values("id")], 105)
    assert.deepStrictEqual((await proof()).purged.count, 2)
  }, 90_000)

  it("without a service, a command says that nobody carries it out, and what it waits behind", async () => {
    await running.crash()
    const first = program.command("deliveries", "retry", "--all")
    await eventually("it is ordered", () => database.psql("SELECT count(*) FROM pgstream.delivery_commands WHERE state = 'queued'").trim() === "1")
    const id = database.psql("UPDATE pgstream.delivery_commands SET state = 'running' WHERE state = 'queued' RETURNING id").trim().split("\n")[0]!
    const second = await program.command("deliveries", "purge", "--all")
    assert.strictEqual(second.code, 0)
    assert.include(second.stderr, `It is queued behind command ${id} (retry), which is running.`)
    await eventually("longer than it says nothing", () => database.psql(`SELECT now() > ordered_at + '12 s' FROM pgstream.delivery_commands WHERE id = ${id}`).trim() === "t")
    database.psql(`UPDATE pgstream.delivery_commands SET state = 'done', ended_at = now() WHERE id = ${id}`)
    const told = await first
    assert.strictEqual(told.code, 0)
    assert.include(told.stderr, "Still 0 deliveries. The service that runs is at it; where none runs any more,")
    database.psql("UPDATE pgstream.delivery_commands SET state = 'cancelled', ended_at = now() WHERE state = 'queued'")
    const third = await program.command("deliveries", "retry", "--all")
    assert.include(third.stderr, "No service has begun with it.")
  }, 90_000)
})
