/**
 * A server that is shut down (fast, as a restart or a failover does) waits until its walsenders have confirmed all of the
 * WAL. What we cannot settle must not hold it up.
 */
import { assert, describe, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import { makeProgram } from "../support/binary.ts"
import { eventually } from "../support/database.ts"
import { startServer } from "../support/PostgresServer.ts"
import { startReceiver } from "../support/Receiver.ts"

const quick = {
  PGSTREAM_POSTGRES_LISTENER_BACKOFF_INTERVAL: "100ms",
  PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "1s"
}
/** Reading stops soon, and silence is looked into after a second. */
const paused = {
  PGSTREAM_POSTGRES_REPLICATION_READ_AHEAD_BYTES: "64KiB",
  PGSTREAM_WEBHOOK_NOTIFIER_MAX_ENDPOINT_BYTES: "64KiB",
  PGSTREAM_POSTGRES_REPLICATION_SILENCE_INTERVAL: "1s"
}

const shutDown = async (rows: number, settings: Readonly<Record<string, string>>): Promise<void> => {
  const server = await startServer()
  atEnd(() => server.stop())
  const receiver = await startReceiver({ answer: () => "hang" })
  atEnd(() => receiver.close())
  const program = await makeProgram({ url: server.url(), slot: "shutdown", settings: { ...quick, ...settings } })
  server.psql("CREATE TABLE t(id int PRIMARY KEY, pad text DEFAULT repeat('x', 500))")
  await program.init()
  server.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
  const running = await program.run()
  server.psql(`INSERT INTO t SELECT generate_series(1, ${rows})`)
  await eventually("requests are under way", () => receiver.requests.length >= 10)
  let isBack = false
  const restart = async () => {
    await server.restart()
    isBack = true
  }
  const restarted = restart()
  await eventually("the server has been down and is back", () => isBack, 30_000)
  await restarted
  receiver.answer = () => ({ status: 200 })
  await eventually("all come", () => receiver.accepted.size === rows, 40_000)
  assert.isEmpty(receiver.problems)
  assert.strictEqual((await running.stop()).code, 0)
}

describe("the server is shut down while deliveries are under way", () => {
  it.each(["socket", "pg-logical-replication"])("it does not wait for us, and what was under way comes after it is back (%s)", (driver) =>
    shutDown(10, { PGSTREAM_POSTGRES_REPLICATION_DRIVER: driver }), 120_000)

  it("nor while reading is stopped", () => shutDown(5_000, paused), 120_000)
})
