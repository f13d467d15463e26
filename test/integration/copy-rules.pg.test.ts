/**
 * Each rule of a copy (DESIGN.md "Copy"), and what a receiver ends with when it is taken back. The condition of the copy
 * sleeps, so that what happens while rows are read is decided here and not by chance.
 */
import { assert, describe, it } from "vitest"
import * as CopyRules from "../../src/domain/copy/CopyRules.ts"
import { applied, differences } from "../support/copyOracle.ts"
import { askFor, copyDone, copySource, startCopyPipeline } from "../support/copyPipeline.ts"
import { eventually, type TestDatabase } from "../support/database.ts"
import type { Receiver } from "../support/Receiver.ts"
import { OpenSession } from "../support/sessions.ts"

interface Scene {
  readonly database: TestDatabase
  readonly where: { readonly url: string; readonly slot: string }
  readonly receiver: Receiver
}

const prepare = async (label: string, rules: CopyRules.CopyRules, sql: string, eventTypes: ReadonlyArray<string> = []): Promise<Scene> => {
  const { database, receiver, where } = await copySource(label, `CREATE SEQUENCE stamps; ${sql}`)
  database.psql(`INSERT INTO pgstream.webhook_subscriptions (url, event_types) VALUES ('${receiver.url}', '{${eventTypes.join(",")}}')`)
  await startCopyPipeline({ ...where, rules })
  return { database, where, receiver }
}

const table = `
  CREATE TABLE t(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), n int, pad text); ALTER TABLE t ALTER COLUMN pad SET STORAGE EXTERNAL;
  INSERT INTO t SELECT g, nextval('stamps'), g, repeat('p', 3000) FROM generate_series(1, 12) g;`

/** What is wrong at the receiver, after the copy and `more`, when everything has come. */
const wrongAfter = async ({ database, receiver, where }: Scene, id: string): Promise<ReadonlyArray<string>> => {
  await copyDone(where, id)
  database.psql("INSERT INTO t VALUES (999999, DEFAULT, 0, 'end')")
  await eventually("the last event", () => receiver.values("id", "t").includes(999999))
  const oracle = applied(receiver)
  return [...oracle.problems, ...differences(oracle, "t", database.psql("SELECT row_to_json(t) FROM t"), ["stamp", "n", "pad"])]
}

const sleeping = (database: TestDatabase) => eventually("rows are being read", () =>
  database.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'").trim() !== "0", 60_000)

/** In a process of its own: it waits for the lock of a range, which this process has to release. */
const later = async (database: TestDatabase, sql: string) => {
  const user = new OpenSession(database.name)
  await user.run(`${sql};`)
  await user.end()
}

/** Changes of rows while they are read: after the snapshot, before the high mark. */
const whileRead = async (rules: CopyRules.CopyRules): Promise<ReadonlyArray<string>> => {
  const scene = await prepare("copy_rules", rules, table)
  const { database } = scene
  const copy = await askFor(scene.where, ["t"], { where: "pg_sleep(0.1) IS NOT NULL" })
  await sleeping(database)
  database.psql(`
    UPDATE t SET stamp = nextval('stamps'), n = 100, pad = repeat('q', 3000) WHERE id = 1;
    UPDATE t SET stamp = nextval('stamps') WHERE id = 2;
    UPDATE t SET stamp = nextval('stamps'), id = 103 WHERE id = 3;
    DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (11000, DEFAULT, 1, 'new');
    BEGIN; SAVEPOINT a; UPDATE t SET stamp = nextval('stamps'), n = 5 WHERE id = 5; ROLLBACK TO a; UPDATE t SET stamp = nextval('stamps'), n = 6 WHERE id = 6; COMMIT;
    BEGIN; UPDATE t SET stamp = nextval('stamps'), n = 7 WHERE id = 7; PREPARE TRANSACTION '${database.name}'; COMMIT PREPARED '${database.name}'`)
  return wrongAfter(scene, copy.id)
}

/** A rewriting ALTER TABLE without any event, when some of the rows were sent. */
const rewritten = async (rules: CopyRules.CopyRules): Promise<ReadonlyArray<string>> => {
  const scene = await prepare("copy_rewrite", rules, table.replace("12", "300"))
  const copy = await askFor(scene.where, ["t"], { where: "pg_sleep(0.01) IS NOT NULL" })
  await eventually("some rows", () => scene.receiver.accepted.size >= 5)
  await later(scene.database, "ALTER TABLE t ALTER COLUMN n TYPE int USING n + 1000")
  return wrongAfter(scene, copy.id)
}

describe("the rules of a copy", () => {
  it("with all of them the receiver has the table, though rows changed while they were read", async () => {
    assert.deepStrictEqual(await whileRead(CopyRules.all), [])
  }, 120_000)

  for (const rule of ["waitForLowMark", "rowsYield", "readUncoveredAgain", "readMovedAgain"] as const) {
    it(`without ${rule} it has not`, async () => {
      assert.notDeepEqual(await whileRead(CopyRules.without(rule)), [])
    }, 120_000)
  }

  it("a table that is rewritten meanwhile is copied again", async () => {
    assert.deepStrictEqual(await rewritten(CopyRules.all), [])
  }, 120_000)

  it("without restartRewritten the receiver keeps what was before", async () => {
    assert.notDeepEqual(await rewritten(CopyRules.without("restartRewritten")), [])
  }, 120_000)

  it("who takes inserts only has each row, as it was or newer", async () => {
    const scene = await prepare("copy_inserts", CopyRules.all, table, ["I"])
    const { database, receiver } = scene
    const copy = await askFor(scene.where, ["t"], { where: "pg_sleep(0.1) IS NOT NULL" })
    await sleeping(database)
    database.psql(`UPDATE t SET stamp = nextval('stamps'), n = 100 WHERE id = 1; UPDATE t SET id = 103, stamp = nextval('stamps') WHERE id = 3; INSERT INTO t VALUES (50, DEFAULT, 1, 'new')`)
    await copyDone(scene.where, copy.id)
    const oracle = applied(receiver)
    assert.deepStrictEqual(oracle.problems, [])
    const ids = [...oracle.tables.get("t")!.keys()].map(Number).toSorted((a, b) => a - b)
    assert.deepStrictEqual(ids, database.psql("SELECT id FROM t ORDER BY id").trim().split("\n").map(Number))
    assert.strictEqual(oracle.tables.get("t")!.get("1")!.get("n"), 100)
  }, 120_000)

  it("VACUUM FULL does not disturb it, a TRUNCATE empties it", async () => {
    const scene = await prepare("copy_vacuum", CopyRules.all, table.replace("12", "300"))
    const copy = await askFor(scene.where, ["t"], { where: "pg_sleep(0.01) IS NOT NULL" })
    await eventually("some rows", () => scene.receiver.accepted.size >= 5)
    await later(scene.database, "VACUUM FULL t")
    const before = scene.receiver.accepted.size
    await eventually("more rows", () => scene.receiver.accepted.size >= before + 5)
    await later(scene.database, "TRUNCATE t; INSERT INTO t SELECT g, nextval('stamps'), g, 'again' FROM generate_series(1, 30) g")
    assert.deepStrictEqual(await wrongAfter(scene, copy.id), [])
    assert.deepStrictEqual(scene.receiver.requests.filter(({ before, id }) => before > 0 && id.startsWith("s-")), [])
  }, 120_000)
})
