/** Tables that a copy could get wrong: without a key, with an odd one, rewritten while they are read. */
import { assert, describe, it } from "vitest"
import { askFor, copyDone, copySource, startCopyPipeline } from "../support/copyPipeline.ts"
import { eventually } from "../support/database.ts"

/** A pipeline with one subscription to everything. */
const prepare = async (label: string, sql: string) => {
  const { database, receiver, where } = await copySource(label, sql)
  database.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${receiver.url}', '', '')`)
  await startCopyPipeline(where)
  return { database, where, receiver }
}

const idsOf = (values: ReadonlyArray<unknown>) => [...new Set(values.map(Number))].toSorted((a, b) => a - b)
const numbers = (text: string) => text.trim().split("\n").map(Number)

describe("a copy of", () => {
  it("a table without a key whose rows move below what was read: VACUUM FULL starts it again", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_keyless_full", `
      CREATE TABLE t(id int, pad text); INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 3000) g`)
    receiver.answer = ({ data }) => data.action === "I" ? { status: 200, delayMs: 2 } : { status: 200 }
    const copy = await askFor(where, ["t"], { mode: "data" })
    await eventually("some rows", () => receiver.accepted.size >= 200, 60_000)
    receiver.answer = () => ({ status: 200, delayMs: 300 })
    database.psql("DELETE FROM t WHERE id <= 1500")
    database.psql("VACUUM FULL t")
    receiver.answer = () => ({ status: 200 })
    await copyDone(where, copy.id, 90_000)
    const came = new Set(receiver.values("id", "t").map(Number))
    assert.deepStrictEqual(numbers(database.psql("SELECT id FROM t ORDER BY id")).filter((id) => !came.has(id)), [])
  })

  it("values of every kind says the same as their event does", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_values", `
      CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"'); CREATE DOMAIN posint AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text);
      CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE SCHEMA "Odd.Schema";
      CREATE TABLE "Odd.Schema"."My ""Table" ("Key ""col" text COLLATE ci, "b b" uuid, "select" bpchar, PRIMARY KEY ("Key ""col", "select", "b b"),
        f4 real, f8 double precision, n numeric, d date, ts timestamp, tz timestamptz, i interval, j json, jb jsonb, ba bytea, m mood, p posint, c pair,
        ia int[], ta text[], fa float8[], r int4range, b bool, x xml, pt point, ip inet, o oid, nothing text, e text, "char" "char", bits bit(3), money money);
      INSERT INTO "Odd.Schema"."My ""Table"
      SELECT (ARRAY['a', 'B', 'ä', 'é''"\\', ' ', ''])[1 + g % 6] || g, md5(g::text)::uuid, 'x ', 'NaN', '-Infinity', CASE g % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN '1.0000' ELSE '-99999999999999999999999.5' END::numeric,
        CASE g % 3 WHEN 0 THEN 'infinity' WHEN 1 THEN '0044-03-15 BC' ELSE '20000-01-01' END::date, '-infinity', CASE g % 2 WHEN 0 THEN '294276-12-31 23:59:59.999999+00' ELSE '4713-01-01 00:00:00+00 BC' END::timestamptz,
        '-1 year 2 mons -3 days 04:05:06.789', ('{"a": 1e400, "b": "' || repeat('z', CASE g WHEN 7 THEN 3000000 ELSE 3 END) || '", "c": 12345678901234567890}')::json, '{"a": 1e400, "n": null}', '\\x00ff', 'it''s "ok"', 5, ROW(1, 'a,"b')::pair,
        '{1,NULL,3}', ARRAY['a"b', NULL, 'c,d', ''], '{NaN,Infinity,-0}', '[1,5)', g % 2 = 0, '<a>&amp;</a>', '(1,2)', '::1/128', 4294967295, NULL, '', 'q', '101', 12.5
        FROM generate_series(1, 200) g`)
    const copy = await askFor(where, [], { mode: "data", tables: [{ schema: "Odd.Schema", table: 'My "Table' }] })
    const done = await copyDone(where, copy.id, 90_000)
    assert.deepStrictEqual(done.progress.map(({ rows, state }) => [rows, state]), [[200, "done"]])
    database.psql(`UPDATE "Odd.Schema"."My ""Table" SET f4 = f4, j = (j::text)::json, jb = (jb::text)::jsonb`)
    await eventually("the events", () => receiver.bodies.filter(({ action }) => action === "U").length === 200, 60_000)
    const byKey = (action: string) => new Map(receiver.bodies.filter((data) => data.action === action).map((data) =>
      [JSON.stringify(data.columns!.slice(0, 3)), JSON.stringify(data.columns)]))
    assert.deepStrictEqual(byKey("I"), byKey("U"))
    assert.strictEqual(byKey("I").size, 200)
  })

  it("a partitioned table while partitions come, go and change their names", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_partitions", `
      CREATE TABLE p(id int PRIMARY KEY, pad text) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1000) TO (2000);
      INSERT INTO p SELECT g, repeat('x', 100) FROM generate_series(1, 1999) g;
      CREATE TABLE later(id int PRIMARY KEY, pad text); INSERT INTO later SELECT g, 'later' FROM generate_series(2000, 2099) g`)
    receiver.answer = () => ({ status: 200, delayMs: 20 })
    const copy = await askFor(where, ["p"], { mode: "data" })
    await eventually("some rows", () => receiver.accepted.size >= 100, 60_000)
    database.psql("ALTER TABLE p ATTACH PARTITION later FOR VALUES FROM (2000) TO (3000)")
    database.psql("ALTER TABLE p DETACH PARTITION p2; ALTER TABLE p1 RENAME TO renamed")
    database.psql("UPDATE renamed SET id = 5000 - id WHERE false; INSERT INTO p VALUES (2500, 'new')")
    receiver.answer = () => ({ status: 200 })
    await copyDone(where, copy.id, 90_000)
    await eventually("the event", () => receiver.values("id", "later").includes(2500))
    const ids = idsOf([...receiver.values("id", "p1"), ...receiver.values("id", "renamed"), ...receiver.values("id", "p2"), ...receiver.values("id", "later")])
    assert.deepStrictEqual(ids, [...Array.from({ length: 2099 }, (_, n) => n + 1), 2500])
  })

  it("few rows of many, by a condition, looks at many in one range", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_sparse", "CREATE TABLE t(id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100000)")
    const copy = await askFor(where, ["t"], { mode: "data", where: "id % 50000 = 7" })
    await copyDone(where, copy.id, 60_000)
    assert.deepStrictEqual(idsOf(receiver.values("id", "t")), [7, 50_007])
    // The next range and its rows are one look at the index each.
    const looks = () => Number(database.psql("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 't'"))
    await eventually("the server has counted", () => looks() > 4)
    assert.isBelow(looks(), 150)
  })

  it("a table whose key has a generated column ends", { timeout: 120_000 }, async () => {
    const { database, receiver, where } = await prepare("copy_generated_key", `
      CREATE TABLE t(n int NOT NULL, id int GENERATED ALWAYS AS (n * 2) STORED PRIMARY KEY); INSERT INTO t SELECT g FROM generate_series(1, 500) g;
      CREATE TABLE none(); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES`)
    const copy = await askFor(where, ["t", "none"], { mode: "data" })
    const done = await copyDone(where, copy.id, 60_000)
    assert.deepStrictEqual(done.progress.map(({ rows, state, table }) => [table, rows, state]), [["none", 2, "done"], ["t", 500, "done"]])
    assert.deepStrictEqual(idsOf(receiver.values("n", "t")), numbers(database.psql("SELECT n FROM t ORDER BY n")))
  })
})
