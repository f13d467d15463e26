/** A pause over the API holds when it has answered: what is committed after is not sent. */
import { afterAll, assert, it } from "vitest"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"
import { OpenSession } from "../support/sessions.ts"

const ROUNDS = 40

const database = testDatabase("e2e_pause")
const program = await makeProgram({ url: database.url, slot: `e2e_pause_${process.pid}` })
const receiver = await startReceiver()
afterAll(() => receiver.close())

const pause = async (endpoint: string, paused: boolean) => {
  const response = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${endpoint}`, {
    method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ paused })
  })
  assert.strictEqual(response.status, 200)
}

it(`holds when it has answered: ${ROUNDS} rounds`, async () => {
  await program.init()
  const running = await program.run()
  database.psql("CREATE TABLE t(id int PRIMARY KEY); CREATE TABLE other(id int PRIMARY KEY)")
  const endpoint = String((await subscribe(program, { url: receiver.url, schema: "public", table: "t" })).body["endpoint_id"])
  const beside = await startReceiver()
  try {
    await subscribe(program, { url: beside.url, schema: "public", table: "other" })
    const user = new OpenSession(database.name)
    for (let round = 1; round <= ROUNDS; round++) {
      await pause(endpoint, true)
      await user.run(`INSERT INTO t VALUES (${round});`)
      await user.run(`INSERT INTO other VALUES (${round});`)
      await eventually("the stream has passed it", () => beside.accepted.size === round)
      assert.strictEqual(receiver.requests.length, round - 1, `round ${round}`)
      await pause(endpoint, false)
      await eventually("it comes", () => receiver.accepted.size === round)
    }
    await user.end()
    assert.strictEqual((await running.stop()).code, 0)
  } finally {
    await beside.close()
  }
}, 120_000)
