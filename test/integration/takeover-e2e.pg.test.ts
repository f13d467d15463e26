/** The database of the system that we replace, with its subscriptions: after `init` and `run` its endpoints get everything, in total order. */
import { afterAll, assert, describe, inject, it } from "vitest"
import { makeProgram } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { startReceiver, type Receiver, rowKey, valueOf } from "../support/Receiver.ts"
import { seedSql } from "../support/seed.ts"

/** Both receivers are late by turns, so that requests in flight together would show. */
const late = () => startReceiver({ answer: ({ sequence }) => ({ status: 200, delayMs: sequence % 3 }), keyOf: rowKey })
const all = await late()
const users = await late()
afterAll(() => Promise.all([all.close(), users.close()]))

const withUserinfo = (receiver: Receiver) => receiver.url.replace("http://", "http://user:secret@")

describe.each([7, 8] as const)("a database after migration %i", (version) => {
  const database = testDatabase(`takeover_e2e_${version}`)
  const slot = `${database.name}_s`

  it.skipIf(!inject("postgresHasWal2json"))("goes on with its slot, plugin and subscriptions, one request at a time", async () => {
    for (const receiver of [all, users]) receiver.accepted.clear()
    database.psql(seedSql(version))
    database.psql(`CREATE TABLE public.users(id int PRIMARY KEY, name text); CREATE TABLE public.posts(id int PRIMARY KEY, author int REFERENCES users)`)
    database.psql(`UPDATE pgstream.schema_log SET acked = true;
      INSERT INTO pgstream.webhook_subscriptions VALUES ('${withUserinfo(all)}', '', '', NULL), ('${users.url}', 'public', 'users', '{I,U}'), ('', '', '', NULL);
      SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
    // Committed after the old program stopped: the slot has it.
    database.psql(`INSERT INTO users VALUES (1, 'before')`)
    const program = await makeProgram({ url: database.url, slot, settings: { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: database.url } })
    assert.match((await program.start().ended).stderr, /TakeoverPending/)
    const init = await program.init()
    assert.match(init.stderr, /Taken over.*not to be trusted/s)
    assert.notInclude(init.stderr, "secret")
    const running = await program.run()
    for (let id = 2; id <= 20; id++) {
      database.psql(`BEGIN; INSERT INTO users VALUES (${id}, 'u'); INSERT INTO posts SELECT ${id} * 10 + g, ${id} FROM generate_series(0, 2) g; COMMIT; UPDATE users SET name = 'v' WHERE id = ${id}; DELETE FROM posts WHERE id = ${id} * 10`)
    }
    const own = (receiver: Receiver) => receiver.bodies.filter((data) => data.schema === "public")
    await eventually("all of it is there", () => own(all).length === 1 + 19 * 6 && own(users).length === 1 + 19 * 2)
    assert.strictEqual((await running.stop()).code, 0)
    for (const receiver of [all, users]) {
      assert.strictEqual(receiver.maxInFlight, 1)
      const sequences = [...receiver.accepted.values()].map(({ sequence }) => sequence)
      assert.deepStrictEqual(sequences, sequences.map((_, n) => n + 1))
      assert.deepStrictEqual(receiver.problems, [])
    }
    const order = own(all).slice(1).map((data) => `${data.action} ${data.table} ${String(valueOf(data.columns, "id") ?? valueOf(data.identity, "id"))}`)
    assert.deepStrictEqual(order, Array.from({ length: 19 }, (_, n) => n + 2).flatMap((id) => [
      `I users ${id}`, `I posts ${id}0`, `I posts ${id}1`, `I posts ${id}2`, `U users ${id}`, `D posts ${id}0`
    ]))
    assert.strictEqual(all.requests[0]!.authorization, `Basic ${Buffer.from("user:secret").toString("base64")}`)
    assert.strictEqual(users.requests[0]!.authorization, undefined)
    assert.notInclude(running.stderr(), "secret")
  })
})
