/** The address guard through the program: what is refused is kept, never sent, and goes on when its host is allowed. */
import { afterAll, assert, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const database = testDatabase("e2e_guard")
const receiver = await startReceiver()
afterAll(() => receiver.close())

const settings = {
  PGSTREAM_WEBHOOK_ADDRESS_GUARD: "public",
  PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "1s 3s 6s 12s 24s 24s"
}
const guarded = await makeProgram({ url: database.url, slot: `e2e_guard_${process.pid}`, settings })
const allowing = await makeProgram({
  url: database.url, slot: `e2e_guard_${process.pid}`, settings: { ...settings, PGSTREAM_WEBHOOK_ALLOWED_HOSTS: "127.0.0.1" }
})

const insert = (from: number, to: number) => database.psql(`INSERT INTO things SELECT g FROM generate_series(${from}, ${to}) g`)

it("refuses at subscribe and at each attempt; allowed, what was kept is sent", async () => {
  database.psql("CREATE TABLE things(id int PRIMARY KEY)")
  await guarded.init()
  const first = await guarded.run("--log-level", "info")
  const refused = await subscribe(guarded, { url: receiver.url, schema: "public", table: "things" })
  assert.strictEqual(refused.status, 400)
  assert.match(JSON.stringify(refused.body), /loopback.*PGSTREAM_WEBHOOK_ALLOWED_HOSTS/)
  const own = await subscribe(guarded, { url: `http://127.0.0.1:${guarded.apiPort}/webhooks/subscriptions`, schema: "public", table: "things" })
  assert.strictEqual(own.status, 400)
  // By SQL nobody asks: the attempt does.
  database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES ('${receiver.url}', 'public', 'things', '{I}')`)
  insert(1, 5)
  await eventually("all are parked", () =>
    database.psql("SELECT count(*) FROM pgstream.webhook_deliveries WHERE last_error = 'address not allowed'").trim() === "5")
  assert.strictEqual(receiver.requests.length, 0)
  const { code, stderr } = await first.stop()
  assert.strictEqual(code, 0)
  assert.match(stderr, /An endpoint's address is not allowed.*PGSTREAM_WEBHOOK_ALLOWED_HOSTS/)
  assert.strictEqual(stderr.split("is not allowed; nothing").length, 2, "said once")

  const second = await allowing.run("--log-level", "info")
  insert(6, 8)
  await eventually("all came", () => receiver.accepted.size === 8, 60_000)
  assert.deepStrictEqual(receiver.values("id").toSorted(), [1, 2, 3, 4, 5, 6, 7, 8])
  assert.deepStrictEqual(receiver.problems, [])
  assert.strictEqual((await second.stop()).code, 0)
}, 120_000)
