/** A copy of a database calls nobody, though it runs, until `init --adopt`: then all of it is sent. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { afterAll, assert, describe, inject, it } from "vitest"
import { makeProgram } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"

const bin = inject("postgresBin")
const at = (port: number, database: string) => ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database]
const production = testDatabase("clone_e2e_production")
const copy = testDatabase("clone_e2e_copy")
const receiver = await startReceiver()
afterAll(() => receiver.close())

/** The original, which goes on, tries what it has parked at no time of this test: every request of it is the copy's. */
const settings = {
  PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms",
  PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE: "1h 1h", PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE: "1h 1h"
}

describe("a dump that is restored beside its original", () => {
  it("sends nothing, keeps everything, and sends all of it once it is adopted; the original goes on", async () => {
    const original = await makeProgram({ url: production.url, slot: `${production.name}_s`, settings })
    production.psql(`CREATE TABLE t(id int PRIMARY KEY)`)
    await original.init()
    production.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', 'public', 't')`)
    receiver.answer = ({ data }) => ({ status: data.columns?.[0]?.value === 2 ? 404 : 200 })
    const live = await original.run()
    production.psql(`INSERT INTO t VALUES (1), (2), (3)`)
    await eventually("two come, one is parked", () =>
      receiver.accepted.size === 2 && production.psql(`SELECT count(*) FROM pgstream.webhook_deliveries`).trim() === "1")
    const dump = execFileSync(join(bin, "pg_dump"), at(production.port, production.name), { maxBuffer: 1 << 28 })
    execFileSync(join(bin, "psql"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", ...at(copy.port, copy.name)], { input: dump, stdio: ["pipe", "ignore", "pipe"] })

    const cloned = await makeProgram({ url: copy.url, slot: `${copy.name}_s`, settings })
    assert.match((await cloned.init()).stderr, /endpoints start paused.*init --adopt/s)
    receiver.answer = () => ({ status: 200 })
    const before = receiver.requests.length
    const running = await cloned.run()
    copy.psql(`INSERT INTO t VALUES (101), (102); UPDATE t SET id = 103 WHERE id = 102`)
    await eventually("all of it is kept", async () => {
      const { stdout } = await cloned.command("deliveries", "list", "--json")
      return (JSON.parse(stdout) as { readonly deliveries: ReadonlyArray<unknown> }).deliveries.length === 3
    })
    assert.strictEqual((await running.stop()).code, 0)
    assert.strictEqual(receiver.requests.length, before, "nothing was sent")
    const status = await cloned.command("status")
    assert.strictEqual(status.code, 1)
    assert.match(status.stdout, /endpoints are paused.*init --adopt/s)

    assert.match((await cloned.init("--adopt")).stderr, /Adopted: 1 endpoints/)
    const adopted = await cloned.run()
    await eventually("what was kept comes, and what the original had parked", () => receiver.accepted.size === 2 + 4, 30_000)
    copy.psql(`INSERT INTO t VALUES (104)`)
    await eventually("the next comes, too", () => receiver.accepted.size === 2 + 5)
    assert.sameMembers([...receiver.values("id")].map(Number), [1, 3, 2, 101, 102, 103, 104])
    assert.strictEqual((await adopted.stop()).code, 0)
    production.psql(`INSERT INTO t VALUES (4)`)
    await eventually("the original goes on", () => receiver.values("id").includes(4))
    assert.strictEqual((await live.stop()).code, 0)
  }, 120_000)
})
