/** Copies while the stream runs: what a receiver has in the end is the table, and no row ever went back. */
import { assert, describe, it } from "vitest"
import { applied, differences, twice } from "../support/copyOracle.ts"
import { askFor, copyDone, copyNow, copySource, type CopyPipelineOptions, startCopyPipeline } from "../support/copyPipeline.ts"
import { eventually, type TestDatabase } from "../support/database.ts"
import { startReceiver, valueOf } from "../support/Receiver.ts"
import { atEnd } from "../support/atEnd.ts"

/** Answers with the subscription's id. */
const subscribe = async (scene: { readonly apiPort: number; readonly database: TestDatabase }, url: string, more: object = {}): Promise<string> => {
  const response = await fetch(`http://127.0.0.1:${scene.apiPort}/webhooks/subscribe`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ url, ...more })
  })
  assert.strictEqual(response.status, 201, await response.text())
  return scene.database.psql(`SELECT id FROM pgstream.webhook_subscriptions WHERE url = '${url}'`).trim()
}

const scene = async (label: string, sql: string, options: Partial<CopyPipelineOptions> = {}) => {
  const { database, receiver, where } = await copySource(label, sql)
  const running = await startCopyPipeline({ ...where, ...options })
  return { database, where, receiver, ...running }
}

const rowsOf = (table: string) => `SELECT row_to_json(t) FROM ONLY ${table} t`

describe("a copy", () => {
  it("sends each row once, in the form of replication, with its header's id, and none to others", async () => {
    const made = await scene("copy_plain", `
      CREATE TABLE plain(id int PRIMARY KEY, stamp bigint DEFAULT 1, v text, n numeric, g int GENERATED ALWAYS AS (id * 2) STORED);
      INSERT INTO plain SELECT g, 1, repeat('x', g % 50), g / 3.0 FROM generate_series(1, 2000) g;
      CREATE TABLE parent(id int PRIMARY KEY, stamp bigint DEFAULT 1); CREATE TABLE child(PRIMARY KEY (id)) INHERITS (parent);
      INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
      CREATE TABLE keyless(id int, stamp bigint DEFAULT 1); INSERT INTO keyless SELECT g FROM generate_series(1, 50) g;
      CREATE TABLE parts(id int PRIMARY KEY, stamp bigint DEFAULT 1) PARTITION BY RANGE (id);
      CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (10) TO (100);
      INSERT INTO parts SELECT g FROM generate_series(1, 40) g`)
    const { database, receiver, where } = made
    const other = await startReceiver()
    atEnd(() => other.close())
    const id = await subscribe(made, receiver.url)
    await subscribe(made, other.url)
    const copy = await askFor(where, ["plain", "parent", "child", "keyless", "parts"], { subscription: id })
    const done = await copyDone(where, copy.id)
    assert.deepStrictEqual(done.progress.map(({ rows, state, table }) => [table, rows, state]),
      [["child", 1, "done"], ["keyless", 50, "done"], ["parent", 1, "done"], ["parts1", 9, "done"], ["parts2", 31, "done"], ["plain", 2000, "done"]])
    assert.strictEqual(other.requests.length, 0)
    const oracle = applied(receiver)
    for (const table of ["plain", "parent", "child", "keyless", "parts1", "parts2"]) {
      assert.deepStrictEqual(differences(oracle, table, database.psql(rowsOf(table)), ["id", "stamp"]), [])
    }
    assert.deepStrictEqual(differences(oracle, "plain", database.psql(rowsOf("plain")), ["id", "v"]), [])
    assert.strictEqual(receiver.requests.length, 2092 + receiver.bodies.filter(({ schema }) => schema === "pgstream").length)
    database.psql("UPDATE plain SET n = n, v = v WHERE id = 7; INSERT INTO plain(id, v, n) VALUES (9999, 'new', 7 / 3.0)")
    await eventually("the events", () => receiver.values("id", "plain").includes(9999))
    const bodies = receiver.bodies.filter((data) => data.table === "plain" && valueOf(data.columns, "id") === 7)
    const [copied, updated] = bodies.map(({ columns }) => JSON.stringify(columns))
    assert.strictEqual(copied, updated)
  })

  it("rows yield to events of the same rows, whatever the writers do meanwhile", async () => {
    const made = await scene("copy_busy", `
      CREATE SEQUENCE stamps; CREATE TABLE busy(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), pad text);
      ALTER TABLE busy ALTER COLUMN pad SET STORAGE EXTERNAL;
      INSERT INTO busy SELECT g, nextval('stamps'), repeat(chr(65 + g % 26), CASE g % 5 WHEN 0 THEN 3000 ELSE 20 END) FROM generate_series(1, 600) g`)
    const { database, receiver, where } = made
    receiver.answer = () => ({ status: 200, delayMs: 1 })
    await subscribe(made, receiver.url)
    const copy = await askFor(where, ["busy"])
    let writes = 0
    for (let over = false; !over; writes++) {
      const at = (writes * 37) % 600
      database.psql(`
        UPDATE busy SET stamp = nextval('stamps') WHERE id BETWEEN ${at} AND ${at + 5};
        UPDATE busy SET id = 10000 + ${writes}, stamp = nextval('stamps') WHERE id = ${(writes * 61) % 600};
        UPDATE busy SET id = -${writes}, stamp = nextval('stamps') WHERE id = ${600 - (writes * 31) % 600};
        DELETE FROM busy WHERE id = ${(writes * 13) % 600}; INSERT INTO busy VALUES (${1000 + writes}, DEFAULT, repeat('n', 2500))`)
      over = writes > 20 && (await copyNow(where, copy.id)).state === "done"
    }
    await copyDone(where, copy.id)
    database.psql("INSERT INTO busy VALUES (777777)")
    await eventually("the last event", () => receiver.values("id", "busy").includes(777777))
    const oracle = applied(receiver)
    assert.deepStrictEqual(oracle.problems, [])
    assert.deepStrictEqual(differences(oracle, "busy", database.psql(rowsOf("busy")), ["id", "stamp", "pad"]), [])
    assert.deepStrictEqual(twice(receiver), [])
    process.stdout.write(`copy: ${writes} rounds of writes, ${receiver.requests.length} requests\n`)
  }, 120_000)
})
