/**
 * Schema events and ids on a real stream, where golden has no scenario: what golden's text says of skipped and renamed
 * things, several sessions, isolation levels, restarts, and both plugins side by side.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { assert, describe, inject, it } from "vitest"
import type { Item } from "../../src/domain/Chunk.ts"
import * as Ddl from "../../src/domain/Ddl.ts"
import type { SchemaLogEntry, ShapesDelta, ShapesSnapshot, TableShape } from "../../src/domain/TableShape.ts"
import * as Xid from "../../src/domain/Xid.ts"
import * as Tracker from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import type { Plugin } from "../../src/services/ChangeSource.ts"
import { DdlTracker } from "../../src/services/DdlTracker.ts"
import { testDatabase, type TestDatabase } from "../support/database.ts"
import * as Golden from "../support/golden.ts"

const plugins = (): ReadonlyArray<Plugin> => inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]

const setUp = async (label: string): Promise<TestDatabase> => {
  const database = testDatabase(`stream_${label}`)
  await Effect.runPromise(Golden.prepare(database.url, plugins().map((plugin) => ({ plugin, name: slotOf(database, plugin) }))))
  return database
}
const slotOf = (database: TestDatabase, plugin: Plugin) => `${plugin}_${database.name}`
const itemsOf = (database: TestDatabase, plugin: Plugin) => Effect.runPromise(Golden.decode(database.url, slotOf(database, plugin), plugin))
const deliver = (items: ReadonlyArray<Item>, from?: ShapesSnapshot, size?: number) => Effect.runPromise(Golden.deliver(items, "on", size, from))

const fold = (from: ShapesSnapshot, deltas: ReadonlyArray<ShapesDelta>): ShapesSnapshot => {
  const tables = new Map<number, TableShape>(from.tables.map((t) => [t.oid, t]))
  const versions = new Map(from.versions.map((v) => [v.schema, v]))
  let recent = from.recent ?? []
  for (const delta of deltas) {
    for (const [oid, shape] of delta.tables) {
      if (shape === undefined) tables.delete(oid)
      else tables.set(oid, shape)
    }
    for (const [name, version] of delta.versions) versions.set(name, version)
    recent = delta.recent ?? recent
  }
  return JSON.parse(JSON.stringify({ tables: [...tables.values()], versions: [...versions.values()], recent })) as ShapesSnapshot
}

/** `schema.table action column:type#attnum …`, with `-` for a column without id and `none` for no metadata. */
const short = (sent: Golden.Sent): string => {
  const { action, columns, metadata, schema, table } = Golden.dataOf(sent.body)
  if (schema === "pgstream") return `${table} ${columns!.find((c) => c.name === "schema_name")!.value as string} ${columns!.find((c) => c.name === "version")!.value as string}`
  const ids = (columns ?? []).map((c) => `${c.name}:${c.type}#${c.id.split("-")[1] ?? "-"}`)
  return [`${schema}.${table} ${action}`, ...ids, ...(metadata.schema_id === null ? ["none"] : [])].join(" ")
}

describe("schema events on a real stream", () => {
  it("follows what makes no entry: skipped, renamed, indexed and copied", async () => {
    const database = await setUp("quiet")
    database.psql(`
      CREATE TYPE mood AS ENUM ('sad');
      CREATE TABLE t(id int PRIMARY KEY, m mood, ms mood[]);
      ALTER TYPE mood RENAME TO feeling;
      INSERT INTO t VALUES (1, 'sad', '{sad}');
      SET pgstream.skip_log = 'TRUE';
      ALTER TABLE t ADD COLUMN late int;
      INSERT INTO t VALUES (2, 'sad', '{sad}', 5);
      ALTER TABLE t RENAME TO u;
      INSERT INTO u VALUES (3, 'sad', '{sad}', 5);
      RESET pgstream.skip_log;
      CREATE SCHEMA s CREATE TABLE v(id int PRIMARY KEY);
      INSERT INTO s.v VALUES (0);
      ALTER SCHEMA s RENAME TO r;
      INSERT INTO r.v VALUES (1);
      ALTER TABLE r.v ADD COLUMN x int;
      INSERT INTO r.v VALUES (2, 2);
      CREATE TABLE copied AS SELECT 1 AS a;
      INSERT INTO copied VALUES (2);`)
    for (const plugin of plugins()) {
      const { sent } = await deliver(await itemsOf(database, plugin))
      assert.deepStrictEqual(sent.map(short), [
        "schema_log public 1",
        "public.t I id:integer#1 m:feeling#2 ms:feeling[]#3",
        "public.t I id:integer#1 m:feeling#2 ms:feeling[]#3 late:integer#-",
        "public.u I id:integer#- m:feeling#- ms:feeling[]#- late:integer#- none",
        "schema_log s 1",
        "s.v I id:integer#1",
        "r.v I id:integer#- none",
        "schema_log r 1",
        "r.v I id:integer#1 x:integer#2",
        "public.copied I a:integer#- none",
        "public.copied I a:integer#- none"
      ], plugin)
    }
  })

  it("logs each schema of one DROP, and a schema of which a statement changed a child", async () => {
    const database = await setUp("several")
    database.psql(`
      CREATE SCHEMA a CREATE TABLE one(id int PRIMARY KEY);
      CREATE SCHEMA b CREATE TABLE two(id int PRIMARY KEY);
      CREATE TABLE parent(id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE b.part PARTITION OF parent DEFAULT;
      ALTER TABLE parent ADD COLUMN v int;
      ALTER TABLE parent REPLICA IDENTITY FULL;
      DROP TABLE a.one, b.two;
      DROP SCHEMA a, b CASCADE;`)
    for (const plugin of plugins()) {
      const { deltas, sent } = await deliver(await itemsOf(database, plugin))
      assert.deepStrictEqual(sent.map(short), [
        "schema_log a 1", "schema_log b 1", "schema_log public 1", "schema_log b 2", "schema_log public 2", "schema_log b 3",
        "schema_log public 3", "schema_log a 2", "schema_log b 4", "schema_log a 3", "schema_log b 5"
      ])
      const entries = deltas.flatMap((delta) => delta.entries)
      assert.strictEqual(new Set(entries.map((e: SchemaLogEntry) => e.id)).size, entries.length)
      assert.deepStrictEqual(entries.slice(-2).map((e) => e.json), [`{"tables": null, "dropped": true}`, `{"tables": null, "dropped": true}`])
    }
  })

  it("writes the JSON that Postgres itself makes of the catalog", async () => {
    const database = await setUp("json")
    database.psql(`
      CREATE TYPE "Kind" AS ENUM ('x');
      CREATE DOMAIN pos AS int NOT NULL CHECK (VALUE > 0);
      CREATE TABLE "W x"(z "Kind" DEFAULT 'x', "Qu""o" text UNIQUE, p pos, g int GENERATED ALWAYS AS (1) STORED, gone int,
        i bigint GENERATED ALWAYS AS IDENTITY, e text DEFAULT E'tab\\t"q" \\\\ é', PRIMARY KEY (p, i) INCLUDE (z));
      COMMENT ON COLUMN "W x".e IS E'line\\nbreak \\u2028 "q"';
      CREATE TABLE empty();
      ALTER TABLE "W x" DROP COLUMN gone;`)
    const { deltas } = await deliver(await itemsOf(database, "pgoutput"))
    const last = deltas.flatMap((delta) => delta.entries).at(-1)!
    const values = deltas.flatMap((delta) => delta.newIds).map(({ id, oid }) => `('${id}', ${oid})`).join(", ")
    const [got, expected] = database.psql(`
      INSERT INTO pgstream.table_ids (id, oid) VALUES ${values};
      SELECT $q$${last.json}$q$::jsonb::text; SELECT pgstream.get_schema('public')::text`).split("\n")
    assert.strictEqual(last.json, got, "jsonb's own text form")
    assert.deepStrictEqual(JSON.parse(last.json), JSON.parse(expected!))
  })

  it("starts again from any commit, in chunks of any size, with the same bytes and ids", async () => {
    const database = await setUp("restart")
    database.psql(`
      BEGIN; CREATE TABLE a(id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x'); ALTER TABLE a ADD COLUMN w int; COMMIT;
      CREATE TABLE k(v text); INSERT INTO k VALUES ('a'); UPDATE k SET v = 'b';
      SET pgstream.skip_log = 'TRUE'; ALTER TABLE a DROP COLUMN v; RESET pgstream.skip_log;
      UPDATE a SET w = 2;
      ALTER TABLE k ADD PRIMARY KEY (v); UPDATE k SET v = 'c'; DELETE FROM k;
      DO $$ BEGIN FOR n IN 1..130 LOOP EXECUTE format('CREATE TABLE many_%s(id int PRIMARY KEY)', n); END LOOP; END $$;
      INSERT INTO many_7 VALUES (1); DROP TABLE a; TRUNCATE k;`)
    for (const plugin of plugins()) {
      const whole = await deliver(await itemsOf(database, plugin))
      const ends = (await itemsOf(database, plugin)).flatMap((item, i) => (item._tag === "Commit" ? [i + 1] : []))
      assert.isAbove(ends.length, 8)
      for (const end of ends) {
        const items = await itemsOf(database, plugin)
        const first = await deliver(items.slice(0, end), undefined, 3)
        const rest = await deliver(items.slice(end), fold({ tables: [], versions: [] }, first.deltas), 1000)
        assert.deepStrictEqual(
          [...first.sent, ...rest.sent].map((s) => [s.id, s.body]), whole.sent.map((s) => [s.id, s.body]), `${plugin}, commit at ${end}`
        )
      }
    }
  })

  it("gives the same bodies with both plugins", async () => {
    if (!inject("postgresHasWal2json")) return
    const database = await setUp("plugins")
    database.psql(`
      CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('x'); CREATE DOMAIN app.num AS numeric(5,2);
      CREATE TABLE app.t(id bigint PRIMARY KEY, k app.kind, n app.num, ks app.kind[], t text, b bytea, f boolean);
      INSERT INTO app.t VALUES (9223372036854775807, 'x', 1.10, '{x}', repeat('é"', 2000), '\\x00ff', true), (2, NULL, NULL, NULL, NULL, NULL, NULL);
      UPDATE app.t SET f = false; UPDATE app.t SET id = 3 WHERE id = 2;
      CREATE TABLE keyless(a int, b text); INSERT INTO keyless VALUES (1, NULL); UPDATE keyless SET b = 'x'; DELETE FROM keyless;
      ALTER TABLE keyless ADD UNIQUE (a), ALTER a SET NOT NULL; INSERT INTO keyless VALUES (2, 'y'); UPDATE keyless SET b = 'z';
      ALTER TABLE keyless ADD PRIMARY KEY (a); UPDATE keyless SET b = 'q'; TRUNCATE keyless, app.t; DROP SCHEMA app CASCADE;`)
    const [pgoutput, wal2json] = await Promise.all((["pgoutput", "wal2json"] as const).map(async (plugin) => (await deliver(await itemsOf(database, plugin))).sent))
    const bodies = (sent: ReadonlyArray<Golden.Sent>) => sent.map((s) => [s.id, s.body.replace(/"lsn":"[^"]*"/, "")])
    assert.deepStrictEqual(bodies(pgoutput!), bodies(wal2json!))
  })

  it("gives concurrent sessions distinct, gapless versions, in every isolation level", async () => {
    const database = await setUp("concurrent")
    const server = { port: inject("postgresPort"), bin: inject("postgresBin") }
    const levels = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
    const session = (n: number) => Array.from({ length: 8 }, (_, i) =>
      `BEGIN ISOLATION LEVEL ${levels[(n + i) % 3]!}; CREATE TABLE s${n}_${i}(id int PRIMARY KEY); ALTER TABLE s${n}_${i} ADD v int; COMMIT;`).join("\n")
    await Promise.all([0, 1, 2, 3].map((n) => Golden.runSqlAsync(server, database.name, session(n))))
    const { deltas } = await deliver(await itemsOf(database, "pgoutput"))
    const entries = deltas.flatMap((delta) => delta.entries)
    assert.deepStrictEqual(entries.map((e) => e.version), Array.from({ length: 64 }, (_, n) => n + 1))
    const tables = (JSON.parse(entries.at(-1)!.json) as { tables: ReadonlyArray<{ readonly columns: ReadonlyArray<unknown> }> }).tables
    assert.strictEqual(tables.length, 32)
    assert.isTrue(tables.every((t) => t.columns.length === 2))
  })

  it("takes from a look what the triggers did not see, and nothing else", async () => {
    const database = await setUp("look")
    const look = () =>
      Effect.runPromise(Effect.gen(function*() {
        return yield* (yield* DdlTracker).look()
      }).pipe(Effect.provide(Layer.provide(Tracker.layer, Layer.effect(Sql.SourceSql, Sql.make(Redacted.make(database.url), "look", 1))))))
    const said = async (plugin: Plugin) => (await deliver(await itemsOf(database, plugin))).sent.map(short)
    await look()
    database.psql(`
      CREATE TABLE t(id int PRIMARY KEY, v varchar(5) UNIQUE); CREATE TABLE p(id int) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF p DEFAULT; ALTER TABLE p DETACH PARTITION p1; CREATE TABLE c AS SELECT 1 AS a;
      CREATE TYPE k AS ENUM ('x'); ALTER TABLE t ADD k k, ADD ks k[]; ALTER TYPE k RENAME TO kk; CREATE INDEX ON t(k); DROP TABLE p;
      CREATE SCHEMA s CREATE TABLE x(id int PRIMARY KEY); ALTER SCHEMA s RENAME TO ss; COMMENT ON COLUMN t.v IS 'x';`)
    const before = await said("pgoutput")
    await look()
    assert.deepStrictEqual(await said("pgoutput"), before)
    database.psql(`
      ALTER EVENT TRIGGER pgstream_ddl DISABLE;
      ALTER TABLE t ALTER v TYPE text, DROP k, ADD w int; INSERT INTO t(id, v, w) VALUES (1, 'longer', 5);
      CREATE TABLE unseen(id int PRIMARY KEY); INSERT INTO unseen VALUES (1);
      ALTER EVENT TRIGGER pgstream_ddl ENABLE ALWAYS;`)
    await look()
    database.psql("INSERT INTO t(id, w) VALUES (2, 6); INSERT INTO unseen VALUES (2)")
    for (const plugin of plugins()) {
      assert.deepStrictEqual((await said(plugin)).slice(before.length), [
        "public.t I id:integer#1 v:text#2 ks:kk[]#4 w:integer#-",
        "public.unseen I id:integer#- none",
        `schema_log public ${before.filter((line) => line.startsWith("schema_log public")).length + 1}`,
        "public.t I id:integer#1 v:text#2 ks:kk[]#4 w:integer#5",
        "public.unseen I id:integer#1"
      ], plugin)
    }
  })

  it("gives tables from before the slot their ids with the first entry of their schema, as golden does", async () => {
    const database = testDatabase("stream_before")
    database.psql("CREATE TABLE old(id int PRIMARY KEY); CREATE TABLE older(v text); CREATE SCHEMA s CREATE TABLE x(id int PRIMARY KEY)")
    await Effect.runPromise(Golden.prepare(database.url, plugins().map((plugin) => ({ plugin, name: slotOf(database, plugin) }))))
    const shapes = database.psql(`
      SELECT pgstream.shape_now(c.oid) FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 's'::regnamespace)`)
    const tables = shapes.trim().split("\n").map((json) => Result.getOrThrow(Ddl.parseShape(JSON.parse(json))))
    assert.strictEqual(tables.length, 3)
    database.psql(`
      INSERT INTO old VALUES (1); INSERT INTO s.x VALUES (1);
      CREATE TABLE fresh(id int PRIMARY KEY); INSERT INTO old VALUES (2); INSERT INTO s.x VALUES (2);`)
    for (const plugin of plugins()) {
      const { deltas, sent } = await deliver(await itemsOf(database, plugin), { tables, versions: [] })
      assert.deepStrictEqual(sent.map(short), [
        "public.old I id:integer#- none", "s.x I id:integer#- none", "schema_log public 1", "public.old I id:integer#1", "s.x I id:integer#- none"
      ])
      assert.strictEqual(deltas[0]!.newIds.length, 3)
      assert.isTrue(deltas[0]!.newIds.every(({ id }) => Xid.is(id)))
    }
  })
})
