/** Notices through the binary: one signed POST for a state, tried until it is taken, not again after kill -9; anew when it begins anew. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Webhook } from "standardwebhooks"
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, type RunningProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

interface Noticed {
  readonly id: string
  readonly type: string
  readonly endpoint: string | null
  readonly body: string
}

const secret = `whsec_${Buffer.alloc(32, 5).toString("base64")}`
const noticed: Array<Noticed> = []
let refusals = 0
let away = false
const operator = createServer((request, response) => {
  let body = ""
  request.on("data", (part: Buffer) => body += part.toString())
  request.on("end", () => {
    if (away) {
      refusals++
      return response.writeHead(503).end()
    }
    new Webhook(secret).verify(body, request.headers as Record<string, string>)
    const { data, type } = JSON.parse(body) as { readonly type: string; readonly data: { readonly endpoint: string | null } }
    noticed.push({ id: String(request.headers["webhook-id"]), type, endpoint: data.endpoint, body })
    response.end()
  })
})
const port = await new Promise<number>((resolve) => {
  operator.listen(0, "127.0.0.1", () => resolve((operator.address() as AddressInfo).port))
})
const database = testDatabase("e2e_notices")
const program = await makeProgram({
  url: database.url, slot: `e2e_notices_${process.pid}`,
  settings: {
    PGSTREAM_NOTICE_URL: `http://user:hidden@127.0.0.1:${port}/notices`, PGSTREAM_NOTICE_SECRET: secret,
    PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "300ms 300ms 300ms 300ms 300ms 300ms 300ms 300ms 300ms 300ms",
    PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "100ms", PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
    PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_BYTES: "20000"
  }
})
let status = 410
const gone = await startReceiver({ answer: () => ({ status }) })
const full = await startReceiver({})
afterAll(async () => {
  operator.close()
  await Promise.all([gone.close(), full.close()])
})

let running: RunningProgram
const ids: { gone: string; full: string } = { gone: "", full: "" }
let next = 1
const insert = (table: string, size = 10) => database.psql(`INSERT INTO ${table} VALUES (${next++}, repeat('x', ${size}))`)
const of = (type: string) => noticed.filter((notice) => notice.type === type)
const endpointAt = async (url: string, table: string) =>
  String((await subscribe(program, { url, schema: "public", table })).body["endpoint_id"])
const pause = (id: string, paused: boolean) =>
  fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${id}`, {
    method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ paused })
  })
const resume = async (id: string) => {
  const ended = await program.command("subscriptions", "resume", id)
  assert.strictEqual(ended.code, 0, ended.stderr)
}

describe("notices", () => {
  it("say that an endpoint is disabled by a 410: tried until it is taken", async () => {
    database.psql("CREATE TABLE gone (id int PRIMARY KEY, name text); CREATE TABLE full_up (id int PRIMARY KEY, name text)")
    await program.init()
    running = await program.run()
    ids.gone = await endpointAt(gone.url, "gone")
    ids.full = await endpointAt(full.url, "full_up")
    away = true
    insert("gone")
    await eventually("it was tried twice", () => refusals >= 2)
    away = false
    await eventually("it came", () => noticed.length === 1)
    assert.deepStrictEqual(noticed.map(({ endpoint, type }) => [type, endpoint]), [["endpoint_disabled", ids.gone]])
    assert.notInclude(noticed[0]!.body, "hidden")
    assert.include(running.stderr(), `pgstream subscriptions resume ${ids.gone}`)
    assert.notInclude(running.stderr(), "hidden")
  }, 120_000)

  it("say that one is suspended over its budget", async () => {
    insert("full_up")
    await eventually("it is known to the service", () => full.accepted.size === 1)
    assert.strictEqual((await pause(ids.full, true)).status, 200)
    await eventually("it is paused", () => running.stderr().includes("Endpoint paused: its events wait in the store."))
    for (let n = 0; n < 10; n++) insert("full_up", 4_000)
    const lsn = database.psql("SELECT pg_current_wal_lsn()").trim()
    await eventually("it came", () => of("endpoint_suspended").length === 1)
    assert.strictEqual(of("endpoint_suspended")[0]!.endpoint, ids.full)
    // What comes again after a kill is counted only: it is suspended then.
    await eventually("what was kept does not come again", () =>
      database.psql(`SELECT confirmed_flush_lsn >= '${lsn}' FROM pg_replication_slots WHERE slot_name = '${program.slot}'`).trim() === "t")
    assert.notInclude(noticed.map(({ body }) => body).join(), "xxx")
  }, 120_000)

  it("say nothing again while it lasts, also after kill -9 and a plain restart", async () => {
    for (const end of ["crash", "stop"] as const) {
      await running[end]()
      running = await program.run()
      insert("gone")
      insert("full_up", 4_000)
      await eventually("the stream has passed it", () =>
        database.psql(`SELECT confirmed_flush_lsn >= (SELECT max(pg_current_wal_lsn()) - 100000 FROM pg_class) FROM pg_replication_slots WHERE slot_name = '${program.slot}'`).trim() === "t")
    }
    assert.strictEqual(noticed.length, 2)
  }, 120_000)

  it("say it anew when it begins anew", async () => {
    await resume(ids.gone)
    await eventually("it is disabled once more", () => of("endpoint_disabled").length === 2)
    assert.strictEqual(new Set(noticed.map(({ id }) => id)).size, noticed.length)
    status = 200
    await resume(ids.gone)
    await eventually("it has all", () => gone.accepted.size === 3)
    await resume(ids.full)
    await eventually("the other one has what was kept", () => full.accepted.size > 1)
    assert.deepStrictEqual([of("endpoint_disabled").length, of("endpoint_suspended").length], [2, 1])
  }, 120_000)

  it("and a resume while no service runs is noticed, too", async () => {
    status = 410
    insert("gone")
    await eventually("disabled", () => of("endpoint_disabled").length === 3)
    await running.stop()
    await resume(ids.gone)
    running = await program.run()
    await eventually("disabled by what waits", () => of("endpoint_disabled").length === 4)
  }, 120_000)
})
