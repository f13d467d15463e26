/**
 * No statement of the user fails or waits because of the event triggers: one case a kind of statement. After each, the
 * table has an identity at once (its UPDATE and DELETE are accepted by the publication), and nothing warned.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { testDatabase } from "../support/database.ts"
import { OpenSession, session } from "../support/sessions.ts"

const db = testDatabase("ddl_statements")

beforeAll(() =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(db.url), "test", 1)
    yield* MigrationsSource.run(sql)
    yield* MigrationsSource.installTriggers(sql)
    yield* sql`CREATE PUBLICATION pgstream FOR ALL TABLES`
  }).pipe(Effect.scoped, Effect.runPromise)
)

interface Case {
  readonly name: string
  /** `x`: the table that is written to afterwards, in a schema of the case's own, first in the search_path. */
  readonly sql: string
  /** Replica identity of `x` afterwards. */
  readonly identity: "d" | "f" | "i" | "n"
  /** What `x` was when it was last made FULL by us, if ever. */
  readonly was?: "d" | "n" | "i"
  readonly table?: string
}

const keyed = "CREATE TABLE x(a int PRIMARY KEY, b int);"

const cases: ReadonlyArray<Case> = [
  { name: "CREATE TABLE without key", sql: "CREATE TABLE x(a int, b int);", identity: "f", was: "d" },
  { name: "CREATE TABLE with key", sql: keyed, identity: "d" },
  { name: "CREATE TABLE AS", sql: "CREATE TABLE x AS SELECT 1 AS a, 2 AS b;", identity: "f", was: "d" },
  { name: "SELECT INTO", sql: "SELECT 1 AS a, 2 AS b INTO x;", identity: "f", was: "d" },
  { name: "CREATE TABLE LIKE", sql: "CREATE TABLE y(a int PRIMARY KEY, b int); CREATE TABLE x(LIKE y);", identity: "f", was: "d" },
  { name: "CREATE TABLE with serial and comments", sql: "CREATE TABLE x(a serial, b int); COMMENT ON COLUMN x.b IS 'b'; COMMENT ON TABLE x IS 'x';", identity: "f", was: "d" },
  { name: "CREATE SCHEMA with elements", sql: "CREATE SCHEMA AUTHORIZATION postgres CREATE TABLE x(a int, b int);", identity: "f", was: "d", table: "postgres.x" },
  { name: "CREATE TABLE in a transaction that writes to it", sql: "BEGIN; CREATE TABLE x(a int, b int); INSERT INTO x VALUES (1, 2); UPDATE x SET b = 3; DELETE FROM x; COMMIT;", identity: "f", was: "d" },
  { name: "a key that is dropped", sql: `${keyed} ALTER TABLE x DROP CONSTRAINT x_pkey;`, identity: "f", was: "d" },
  { name: "a key column that is dropped", sql: "CREATE TABLE x(k int PRIMARY KEY, a int, b int); ALTER TABLE x DROP COLUMN k;", identity: "f", was: "d" },
  { name: "a key whose type is dropped", sql: "CREATE TYPE k AS ENUM ('k'); CREATE TABLE x(k k PRIMARY KEY, a int, b int); DROP TYPE k CASCADE;", identity: "f", was: "d" },
  { name: "a key whose domain is dropped", sql: "CREATE DOMAIN k AS int; CREATE TABLE x(k k PRIMARY KEY, a int, b int); DROP DOMAIN k CASCADE;", identity: "f", was: "d" },
  { name: "a key column dropped with its schema", sql: "CREATE SCHEMA other; CREATE DOMAIN other.k AS int; CREATE TABLE x(k other.k PRIMARY KEY, a int, b int); DROP SCHEMA other CASCADE;", identity: "f", was: "d" },
  { name: "an identity index that is dropped", sql: "CREATE TABLE x(a int NOT NULL, b int); CREATE UNIQUE INDEX xi ON x(a); ALTER TABLE x REPLICA IDENTITY USING INDEX xi; DROP INDEX xi;", identity: "f", was: "i" },
  { name: "an identity index that is dropped concurrently", sql: "CREATE TABLE x(a int NOT NULL, b int); CREATE UNIQUE INDEX xi ON x(a); ALTER TABLE x REPLICA IDENTITY USING INDEX xi; DROP INDEX CONCURRENTLY xi;", identity: "f", was: "i" },
  { name: "an index built concurrently", sql: "CREATE TABLE x(a int, b int); CREATE UNIQUE INDEX CONCURRENTLY ON x(a);", identity: "f", was: "d" },
  { name: "an explicit identity by index", sql: "CREATE TABLE x(a int NOT NULL, b int); CREATE UNIQUE INDEX xi ON x(a); ALTER TABLE x REPLICA IDENTITY USING INDEX xi;", identity: "i", was: "d" },
  { name: "a deferrable key", sql: "CREATE TABLE x(a int PRIMARY KEY DEFERRABLE, b int);", identity: "f", was: "d" },
  { name: "a key that becomes deferrable", sql: `${keyed} ALTER TABLE x DROP CONSTRAINT x_pkey, ADD PRIMARY KEY (a) DEFERRABLE INITIALLY DEFERRED;`, identity: "f", was: "d" },
  { name: "REPLICA IDENTITY NOTHING", sql: `${keyed} ALTER TABLE x REPLICA IDENTITY NOTHING;`, identity: "f", was: "n" },
  { name: "REPLICA IDENTITY DEFAULT without a key", sql: "CREATE TABLE x(a int, b int); ALTER TABLE x REPLICA IDENTITY DEFAULT;", identity: "f", was: "d" },
  { name: "session_replication_role = replica", sql: "SET session_replication_role = replica; CREATE TABLE x(a int, b int); RESET session_replication_role;", identity: "f", was: "d" },
  { name: "skip_log", sql: "SET pgstream.skip_log = 'TRUE'; CREATE TABLE x(a int, b int); RESET pgstream.skip_log;", identity: "f", was: "d" },
  { name: "a partition", sql: "CREATE TABLE p(a int, b int) PARTITION BY LIST (a); CREATE TABLE x PARTITION OF p FOR VALUES IN (1, 2);", identity: "f", was: "d" },
  { name: "a partition that is attached", sql: "CREATE TABLE p(a int, b int) PARTITION BY LIST (a); CREATE TABLE x(a int, b int); ALTER TABLE p ATTACH PARTITION x FOR VALUES IN (1, 2);", identity: "f", was: "d" },
  { name: "a partition that is detached", sql: "CREATE TABLE p(a int PRIMARY KEY, b int) PARTITION BY LIST (a); CREATE TABLE x PARTITION OF p FOR VALUES IN (1, 2); ALTER TABLE p DETACH PARTITION x;", identity: "d" },
  { name: "the key of a partitioned parent that is dropped", sql: "CREATE TABLE p(a int PRIMARY KEY, b int) PARTITION BY LIST (a); CREATE TABLE x PARTITION OF p FOR VALUES IN (1, 2); ALTER TABLE p DROP CONSTRAINT p_pkey;", identity: "f", was: "d" },
  { name: "a child of inheritance", sql: "CREATE TABLE p(a int PRIMARY KEY, b int); CREATE TABLE x() INHERITS (p);", identity: "f", was: "d" },
  { name: "SET LOGGED", sql: "CREATE UNLOGGED TABLE x(a int, b int); ALTER TABLE x SET LOGGED;", identity: "f", was: "d" },
  { name: "SET UNLOGGED and back", sql: `${keyed} ALTER TABLE x SET UNLOGGED; ALTER TABLE x SET LOGGED;`, identity: "d" },
  { name: "a rewrite", sql: `${keyed} INSERT INTO x VALUES (2, 2); ALTER TABLE x ALTER COLUMN b TYPE bigint, ADD COLUMN c text DEFAULT random()::text;`, identity: "d" },
  { name: "two-phase", sql: "BEGIN; CREATE TABLE x(a int, b int); PREPARE TRANSACTION 'ddl_two'; COMMIT PREPARED 'ddl_two';", identity: "f", was: "d" },
  { name: "REPEATABLE READ", sql: "BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE TABLE x(a int, b int); COMMIT;", identity: "f", was: "d" },
  { name: "SERIALIZABLE", sql: "BEGIN ISOLATION LEVEL SERIALIZABLE; CREATE TABLE x(a int, b int); COMMIT;", identity: "f", was: "d" },
  { name: "a savepoint that is rolled back", sql: `${keyed} BEGIN; SAVEPOINT s; ALTER TABLE x DROP CONSTRAINT x_pkey; ROLLBACK TO s; COMMIT;`, identity: "d" },
  { name: "a name that needs quotes", sql: `CREATE TABLE "X ""y"(a int, b int);`, identity: "f", was: "d", table: `"X ""y"` },
  { name: "a table without columns", sql: "CREATE TABLE x(); ALTER TABLE x ADD COLUMN a int, ADD COLUMN b int;", identity: "f", was: "d" },
  { name: "a function that makes tables", sql: "DO $$ BEGIN EXECUTE 'CREATE TABLE x(a int, b int)'; EXECUTE 'CREATE TEMP TABLE y(a int)'; END $$;", identity: "f", was: "d" },
  { name: "rename and SET SCHEMA", sql: "CREATE TABLE y(a int, b int); ALTER TABLE y RENAME TO x; ALTER TABLE x RENAME COLUMN b TO c; ALTER TABLE x RENAME COLUMN c TO b;", identity: "f", was: "d" }
]

describe("a statement of the user neither fails nor warns, and its table has an identity at once", () => {
  cases.forEach((one, n) =>
    it(one.name, () => {
      const schema = `s${n}`
      const table = one.table ?? "x"
      const before = `CREATE SCHEMA ${schema}; SET search_path = ${schema}, public;\n`
      const ddl = session(db.name, `${before}${one.sql}`)
      assert.deepStrictEqual({ ok: ddl.ok, messages: ddl.messages.replaceAll(/^.*NOTICE: .*\n?|^DETAIL: .*\n?|^drop cascades.*\n?/gm, "") }, { ok: true, messages: "" })
      const writes = session(db.name, `SET search_path = ${schema}, public; INSERT INTO ${table}(a, b) VALUES (1, 1); UPDATE ${table} SET b = 2; DELETE FROM ${table};`)
      assert.deepStrictEqual(writes, { ok: true, out: "", messages: "" })
      const [oid, identity] = session(db.name, `SET search_path = ${schema}, public; SELECT oid, relreplident FROM pg_class WHERE oid = '${table}'::regclass`).out.split("|")
      assert.strictEqual(identity, one.identity)
      const made = db.psql(`SELECT made_full->>'${oid}' FROM pgstream.ddl WHERE made_full ? '${oid}' ORDER BY id DESC LIMIT 1`).trim()
      assert.strictEqual(made, one.was ?? "")
      // The newest shape says what is: nothing is left for a look to find.
      const newest = db.psql(`SELECT e - '{full_ours,parents,root}'::text[] = pgstream.shape(${oid}) - '{parents,root}'::text[]
        FROM pgstream.ddl d, jsonb_array_elements(d.tables) e WHERE e->>'oid' = '${oid}' ORDER BY d.id DESC LIMIT 1`).trim()
      assert.strictEqual(newest, "t")
    }))
})

describe("beside other sessions", () => {
  it("an owner without privileges makes and changes tables", () => {
    db.psql(`CREATE ROLE plain_owner LOGIN; CREATE SCHEMA AUTHORIZATION plain_owner`)
    const run = session(db.name, `CREATE TABLE x(a int PRIMARY KEY, b int); ALTER TABLE x DROP CONSTRAINT x_pkey; UPDATE x SET b = 1; DROP TABLE x;`, "plain_owner")
    db.psql(`DROP OWNED BY plain_owner; DROP ROLE plain_owner`)
    assert.deepStrictEqual(run, { ok: true, out: "", messages: "" })
  })

  it("a key is dropped that another session added after our snapshot", async () => {
    db.psql(`CREATE SCHEMA late; CREATE TABLE late.x(a int, b int)`)
    const first = new OpenSession(db.name)
    await first.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;")
    assert.isTrue(session(db.name, "ALTER TABLE late.x ADD PRIMARY KEY (a); ALTER TABLE late.x REPLICA IDENTITY DEFAULT").ok)
    await first.run("ALTER TABLE late.x DROP CONSTRAINT x_pkey; COMMIT;")
    await first.end()
    assert.deepStrictEqual(session(db.name, "INSERT INTO late.x VALUES (1, 1); UPDATE late.x SET b = 2"), { ok: true, out: "", messages: "" })
  })

  it("a partition is attached while a sibling is truncated, and keeps no lock of another sibling", async () => {
    db.psql(`CREATE SCHEMA parts; SET search_path = parts; CREATE TABLE p(a int, b int) PARTITION BY LIST (a);
      CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); CREATE TABLE p3(a int, b int)`)
    const truncating = new OpenSession(db.name)
    await truncating.run("BEGIN; TRUNCATE parts.p1;")
    const attaching = new OpenSession(db.name)
    await attaching.run("SET client_min_messages = error; SET lock_timeout = 0; BEGIN; ALTER TABLE parts.p ATTACH PARTITION parts.p3 FOR VALUES IN (3);")
    assert.deepStrictEqual(session(db.name, "TRUNCATE parts.p2"), { ok: true, out: "", messages: "" })
    await attaching.run("COMMIT;")
    await truncating.run("COMMIT;")
    await attaching.end()
    await truncating.end()
    assert.strictEqual(
      db.psql(`SELECT e->>'oid' = 'parts.p1'::regclass::oid::text FROM pgstream.ddl d, jsonb_array_elements(d.tables) e
        WHERE e ? 'unsure' ORDER BY d.id DESC LIMIT 1`).trim(), "t")
  })

  it("DDL does not wait for an open or a prepared DDL transaction of another session", async () => {
    db.psql(`CREATE SCHEMA open; CREATE TABLE open.old(a int); CREATE SCHEMA going`)
    const open = new OpenSession(db.name)
    await open.run("BEGIN; CREATE TABLE open.a(i int); ALTER TABLE open.a ADD j int; CREATE SCHEMA open2; DROP SCHEMA going;")
    assert.isTrue(session(db.name, "BEGIN; CREATE TABLE open.held(i int); PREPARE TRANSACTION 'ddl_held';").ok)
    const other = session(db.name, `CREATE TABLE open.b(i int); ALTER TABLE open.b ADD j int; DROP TABLE open.b;
      ALTER TABLE open.old ADD j int; CREATE SCHEMA open3 CREATE TABLE c(i int); DROP SCHEMA open3 CASCADE; DROP TABLE open.old;
      SELECT pgstream.refresh_schema('open');`)
    await open.run("COMMIT;")
    await open.end()
    assert.isTrue(session(db.name, "COMMIT PREPARED 'ddl_held'").ok)
    assert.deepStrictEqual({ ok: other.ok, warned: other.messages.includes("WARNING") }, { ok: true, warned: false })
  })
})

describe("rows of pgstream.ddl", () => {
  const rows = (sql: string, columns: string): string => {
    const last = db.psql("SELECT coalesce(max(id), 0) FROM pgstream.ddl").trim()
    assert.isTrue(session(db.name, sql).ok)
    return db.psql(`SELECT ${columns} FROM pgstream.ddl WHERE id > ${last} ORDER BY id`).trim()
  }

  it("say which tables and schemas one DROP took", () => {
    db.psql(`CREATE SCHEMA d1; CREATE SCHEMA d2; CREATE TABLE d1.a(i int); CREATE TABLE d2.b(i int); CREATE TABLE d2.c(i int)`)
    const dropped = "tag, jsonb_path_query_array(dropped, '$[*][0,2,3]')"
    assert.strictEqual(rows("DROP TABLE d1.a, d2.b", dropped), `DROP TABLE|["table", "d1", "a", "table", "d2", "b"]`)
    assert.strictEqual(rows("DROP SCHEMA d1, d2 CASCADE", dropped),
      `DROP SCHEMA|["schema", null, "d1", "schema", null, "d2", "table", "d2", "c"]`)
  })

  it("say which schemas were created and renamed, unquoted", () => {
    assert.strictEqual(rows(`CREATE SCHEMA "My Schema"; ALTER SCHEMA "My Schema" RENAME TO "Other"`, "tag, jsonb_path_query_array(schemas, '$[*][1 to 2]')"),
      `CREATE SCHEMA|["My Schema", "CREATE SCHEMA"]\nALTER SCHEMA|["Other", "ALTER SCHEMA"]`)
  })

  it("are none for temporary tables, our own schema and statements that change no table", () => {
    assert.strictEqual(rows(`CREATE TEMP TABLE t(i int); DROP TABLE t; CREATE VIEW v AS SELECT 1; CREATE SEQUENCE q; DROP VIEW v;
      CREATE INDEX ON pgstream.marks(kind); DROP INDEX pgstream.marks_kind_idx; ANALYZE; CREATE MATERIALIZED VIEW m AS SELECT 1 AS i;
      CREATE UNIQUE INDEX ON m(i); REFRESH MATERIALIZED VIEW CONCURRENTLY m; DROP MATERIALIZED VIEW m`, "tag"), "")
  })

  it("say when golden would have been silent, and refresh_schema asks whatever skip_log says", () => {
    assert.strictEqual(
      rows(`SET pgstream.skip_log = 'TRUE'; CREATE TABLE k1(i int); SELECT pgstream.refresh_schema('public'); CREATE TABLE k2(i int);
        SET pgstream.skip_log = 'true'; CREATE TABLE k3(i int); SET session_replication_role = replica; CREATE TABLE k4(i int);
        SELECT pgstream.refresh_schema('pgroll'), pgstream.refresh_schema(NULL)`, "tag, skip, schemas"),
      `CREATE TABLE|t|\nREFRESH|f|[[null, "public", "REFRESH"]]\nCREATE TABLE|f|\nCREATE TABLE|f|\nCREATE TABLE|t|`)
  })

  it("carry the key's order, the generated columns, the root of a partition", () => {
    session(db.name, `CREATE SCHEMA shape; SET search_path = shape; CREATE TABLE p(x int, y int, z int GENERATED ALWAYS AS (2) STORED, PRIMARY KEY (y, x)) PARTITION BY LIST (x);
      CREATE TABLE q PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (y); CREATE TABLE r PARTITION OF q FOR VALUES IN (1);`)
    assert.strictEqual(
      db.psql(`SELECT e->>'root' = 'shape.p'::regclass::oid::text, e->'parents'->>0 = 'shape.q'::regclass::oid::text, e->'indexes'->0->>5,
        e->'columns'->2->>7, e->>'schema_oid' = 'shape'::regnamespace::oid::text, d.new_ids->>(e->>'oid') ~ '^[0-9a-v]{20}$'
        FROM pgstream.ddl d, jsonb_array_elements(d.tables) e WHERE e->>'oid' = 'shape.r'::regclass::oid::text AND d.tag = 'CREATE TABLE' AND d.new_ids ? (e->>'oid')`).trim(),
      "t|t|2 1|s|t|t")
  })
})
