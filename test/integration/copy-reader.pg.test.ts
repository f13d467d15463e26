/** `TableReaderPg`: ranges, bounds, forms of values, and what a user's statements meet. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as CopyKey from "../../src/domain/copy/CopyKey.ts"
import type { Bound } from "../../src/domain/copy/Ranges.ts"
import * as TableReaderPg from "../../src/layers/postgres/copy/TableReaderPg.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { type ReadRequest, type ReadRows, TableReader } from "../../src/services/TableReader.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { OpenSession } from "../support/sessions.ts"
import { makeSlot, settings } from "../support/slots.ts"

const database = testDatabase("copyreader")
const slot = `${database.name}_slot`
makeSlot(database, slot, "pgoutput")
// Where pgoutput has no messages (13) a mark is a row.
database.psql("CREATE SCHEMA pgstream; CREATE TABLE pgstream.marks (id bigserial PRIMARY KEY, kind text NOT NULL)")
const layer = TableReaderPg.layer.pipe(Layer.provide(Layer.succeed(SourceSettings, settings(database.url, slot, { maxFrameBytes: 100_000 }))))

const tableOf = Effect.fnUntraced(function*(table: string, schema = "public") {
  const [found] = yield* (yield* TableReader).tables({ schema, table })
  return found!
})

interface Options extends Partial<ReadRequest> {
  readonly from?: Bound
  readonly to?: Bound
}

const readOf = Effect.fnUntraced(function*(name: string, key: ReadonlyArray<string>, options: Options = {}) {
  let read: ReadRows | undefined
  const table = options.table ?? (yield* tableOf(name))
  const outcome = yield* (yield* TableReader).read({
    key, from: undefined, to: undefined, where: undefined, maxBytes: 1_000_000, maxRows: 10_000, expectedRows: 64,
    highMark: "test", isNewEnough: () => true, lockFirst: true, ready: (rows) => void (read = rows), ...options, table
  })
  return { outcome, read: read! }
})

const keysOf = (read: ReadRows, key: ReadonlyArray<string>) => read.rows.map(({ row }) => CopyKey.valuesIn(key, row, undefined)!.join("|"))

/** All rows by ranges of `size` rows that were planned ahead. */
const allKeys = Effect.fnUntraced(function*(table: string, key: ReadonlyArray<string>, size: number) {
  const reader = yield* TableReader
  const info = yield* tableOf(table)
  const keys: Array<string> = []
  for (let from: Bound; ;) {
    const to: Bound = yield* reader.bound(info, key, from, undefined, size)
    keys.push(...keysOf((yield* readOf(table, key, { from, to })).read, key))
    if (to === undefined) return keys
    from = to
  }
})

const values = (read: ReadRows, row = 0) =>
  Object.fromEntries(read.relation.columns.map(({ name }, i) => {
    const { bytes, spans } = read.rows[row]!.row
    return [name, spans[2 * i]! < 0 ? null : bytes.toString("utf8", spans[2 * i], spans[2 * i + 1])]
  }))

it.layer(layer, { excludeTestServices: true, timeout: "60 seconds" })("the reader", (it) => {
  it.effect("reads ranges of every kind of key, each row once", () =>
    Effect.gen(function*() {
      database.psql(`
        CREATE TABLE composite(a int, b text COLLATE "en-x-icu", c uuid, v int, PRIMARY KEY (b, a, c));
        INSERT INTO composite SELECT g % 7, CASE g % 4 WHEN 0 THEN 'a' || g WHEN 1 THEN 'B''' || g WHEN 2 THEN E'\\\\ä' || g ELSE 'Z z' || g END, gen_random_uuid(), g FROM generate_series(1, 500) g;
        CREATE TABLE floats(k float8 PRIMARY KEY);
        INSERT INTO floats SELECT g / 7.0 FROM generate_series(1, 300) g; INSERT INTO floats VALUES ('NaN'), ('-Infinity'), ('Infinity'), (1e-300);
        CREATE TYPE mood AS ENUM ('z', 'a', 'm'); CREATE TABLE moods(m mood, c char(5), t timestamptz, PRIMARY KEY (m, c, t));
        INSERT INTO moods SELECT ('{z,a,m}'::mood[])[1 + g % 3], left(g::text, 2), '4000-01-01 BC'::timestamptz + g * interval '100 years' FROM generate_series(1, 99) g;
        CREATE TABLE bytes(k bytea PRIMARY KEY); INSERT INTO bytes SELECT decode(md5(g::text), 'hex') FROM generate_series(1, 99) g;`)
      for (const [table, key] of [["composite", ["b", "a", "c"]], ["floats", ["k"]], ["moods", ["m", "c", "t"]], ["bytes", ["k"]]] as const) {
        const expected = database.psql(`SELECT ${key.join(" || '|' || ")} FROM (SELECT ${key.map((k) => `${k}::text`).join(", ")} FROM ${table} ORDER BY ${key.map((k) => `${table}.${k}`).join(", ")}) x`).replace(/\n$/, "").split("\n")
        const keys = yield* allKeys(table, key, 37)
        if (table !== "moods") assert.deepStrictEqual(keys, expected)
        assert.strictEqual(new Set(keys).size, keys.length)
        assert.strictEqual(String(keys.length), database.psql(`SELECT count(*) FROM ${table}`).trim())
      }
    }))

  it.effect("ends a range early at its bytes or rows, and says where", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE wide(id int PRIMARY KEY, v text); INSERT INTO wide SELECT g, repeat('x', 5000) FROM generate_series(1, 400) g")
      const byBytes = (yield* readOf("wide", ["id"], { maxBytes: 200_000 })).read
      assert.deepStrictEqual(byBytes.rows.length, 40)
      assert.isBelow(byBytes.bytes, 206_000)
      assert.deepStrictEqual(byBytes.last, [String(byBytes.rows.length)])
      const byRows = (yield* readOf("wide", ["id"], { maxRows: 10, from: ["5"], to: ["100"] })).read
      assert.deepStrictEqual([keysOf(byRows, ["id"])[0], byRows.rows.length, byRows.last], ["6", 10, ["15"]])
      assert.isUndefined((yield* readOf("wide", ["id"], { from: ["395"] })).read.last)
    }))

  it.effect("reads by key, only inside the range, and by a condition", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE byk(a int, b text, PRIMARY KEY (a, b)); INSERT INTO byk SELECT g, 'x' FROM generate_series(1, 20) g")
      const read = (options: Options) => Effect.map(readOf("byk", ["a", "b"], options), ({ read }) => keysOf(read, ["a", "b"]))
      assert.deepStrictEqual(yield* read({ keys: [["3", "x"], ["4", "y"], ["19", "x"]] }), ["3|x", "19|x"])
      assert.deepStrictEqual(yield* read({ keys: [["3", "x"], ["19", "x"]], from: ["3", "x"] }), ["19|x"])
      assert.deepStrictEqual(yield* read({ where: "a % 10 = 0 -- a comment" }), ["10|x", "20|x"])
    }))

  it.effect("values have the form of replication; generated columns are left out as it does", () =>
    Effect.gen(function*() {
      database.psql(`CREATE TABLE forms(id int PRIMARY KEY, n numeric, f float8, t timestamptz, d date, b bytea, x interval, g int GENERATED ALWAYS AS (id) STORED, j json, q boolean);
        ALTER TABLE forms DROP COLUMN x; ALTER TABLE forms ADD COLUMN x interval;
        INSERT INTO forms(id, n, f, t, d, b, x, j, q) VALUES (1, 'NaN', '-Infinity', 'infinity', '0044-03-15 BC', '\\x00ff', '1 year -2 days', '{"n": 1e400}', true);
        ALTER DATABASE ${database.name} SET datestyle = 'German'; ALTER DATABASE ${database.name} SET bytea_output = 'escape'; ALTER DATABASE ${database.name} SET timezone = 'Asia/Tokyo'`)
      const { read } = yield* readOf("forms", ["id"])
      assert.deepStrictEqual(values(read), {
        id: "1", n: "NaN", f: "-Infinity", t: "infinity", d: "0044-03-15 BC", b: "\\x00ff", j: "{\"n\": 1e400}", q: "t", x: "1 year -2 days"
      })
      assert.deepStrictEqual(read.relation.columns.map(({ key, typeName }) => `${typeName}${key ? " key" : ""}`),
        ["integer key", "numeric", "double precision", "timestamp with time zone", "date", "bytea", "json", "boolean", "interval"])
      assert.strictEqual(read.relation, (yield* readOf("forms", ["id"])).read.relation)
    }))

  it.effect("reads a table without a key by its pages, deleted ones included, never analysed", () =>
    Effect.gen(function*() {
      database.psql(`CREATE TABLE pages(v text); ALTER TABLE pages REPLICA IDENTITY FULL; INSERT INTO pages SELECT repeat('y', 500) || g FROM generate_series(1, 3000) g;
        DELETE FROM pages WHERE substr(v, 501)::int BETWEEN 500 AND 2500`)
      const reader = yield* TableReader
      const info = yield* tableOf("pages")
      let rows = 0
      let ranges = 0
      for (let from: Bound; ;) {
        const to: Bound = yield* reader.bound(info, [], from, undefined, 1000)
        for (let at = from; ;) {
          const { read } = yield* readOf("pages", [], { from: at, to, maxRows: 100 })
          rows += read.rows.length
          if (read.last === undefined) break
          at = read.last
        }
        ranges++
        if (to === undefined) break
        from = to
      }
      assert.deepStrictEqual([rows, ranges > 3], [999, true])
    }))

  it.effect("finds the leaves of a partitioned table, and of a parent by inheritance only itself", () =>
    Effect.gen(function*() {
      database.psql(`CREATE TABLE parts(id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
        CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a'); CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b') PARTITION BY RANGE (id);
        CREATE TABLE parts_b1 PARTITION OF parts_b FOR VALUES FROM (0) TO (10);
        CREATE TABLE parent(id int PRIMARY KEY); CREATE TABLE child(PRIMARY KEY (id)) INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
        CREATE VIEW seen AS SELECT 1`)
      const reader = yield* TableReader
      const names = (table: string) => Effect.map(reader.tables({ schema: "public", table }), (all) => all.map((each) => each.table))
      assert.deepStrictEqual(yield* names("parts"), ["parts_a", "parts_b1"])
      assert.deepStrictEqual(yield* names("parent"), ["parent"])
      assert.deepStrictEqual([yield* names("seen"), yield* names("nothing")], [[], []])
      assert.deepStrictEqual(keysOf((yield* readOf("parent", ["id"])).read, ["id"]), ["1"])
    }))

  it.effect("leaves out and counts a row above the limit of a frame", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE large(id int PRIMARY KEY, v text); INSERT INTO large SELECT g, repeat('x', CASE g WHEN 2 THEN 200000 ELSE 10 END) FROM generate_series(1, 3) g")
      const { read } = yield* readOf("large", ["id"])
      assert.deepStrictEqual([keysOf(read, ["id"]), read.tooLarge, read.last], [["1", "3"], 1, undefined])
    }))

  it.effect("sees the rows of a rewriting ALTER TABLE that it waited for; with the snapshot before the lock it would see none", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE rewritten(id int PRIMARY KEY, v int); INSERT INTO rewritten SELECT g, g FROM generate_series(1, 50) g")
      const table = yield* tableOf("rewritten")
      const rowsRead = (lockFirst: boolean) => Effect.gen(function*() {
        const user = new OpenSession(database.name)
        yield* Effect.promise(() => user.run("BEGIN; ALTER TABLE rewritten ALTER COLUMN v TYPE bigint USING v * 2;"))
        const fiber = yield* Effect.forkChild(readOf("rewritten", ["id"], { lockFirst, table }))
        yield* Effect.promise(async () => {
          await eventually("the reader waits for the lock", () => database.psql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'rewritten'::regclass").trim() === "1")
          await user.run("COMMIT;")
          await user.end()
        })
        const { read } = yield* Fiber.join(fiber)
        database.psql("ALTER TABLE rewritten ALTER COLUMN v TYPE int")
        return [read.rows.length, read.relation.columns[1]!.typeName]
      })
      assert.deepStrictEqual(yield* rowsRead(true), [50, "bigint"])
      assert.deepStrictEqual((yield* rowsRead(false))[0], 0)
    }))

  it.effect("says that a table moved when it was renamed, dropped, or lost its key's column", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE moving(id int PRIMARY KEY); CREATE TABLE gone(id int PRIMARY KEY)")
      const table = yield* tableOf("moving")
      const gone = yield* tableOf("gone")
      database.psql("ALTER TABLE moving RENAME TO moved; DROP TABLE gone")
      const reader = yield* TableReader
      const outcome = (of: typeof table, key = ["id"]) => reader.read({
        table: of, key, from: undefined, to: undefined, where: undefined, maxBytes: 1, maxRows: 1, expectedRows: 1, highMark: "x", isNewEnough: () => true, lockFirst: true, ready: () => {}
      })
      assert.deepStrictEqual([yield* outcome(table), yield* outcome(gone)], ["moved", "moved"])
      assert.strictEqual(yield* outcome({ ...table, table: "moved" }, ["other"]), "moved")
      assert.strictEqual(yield* outcome({ ...table, table: "moved" }), "read")
    }))

  it.effect("names what the server refuses without a value", () =>
    Effect.gen(function*() {
      database.psql("CREATE TABLE refused(id int PRIMARY KEY, v text); INSERT INTO refused VALUES (1, 'secret')")
      const error = (where: string) => Effect.flip(readOf("refused", ["id"], { where }))
      assert.include((yield* error("v::int = 1")).message, "SQLSTATE 22P02")
      assert.notInclude((yield* error("v::int = 1")).message, "secret")
      assert.deepInclude(yield* error("nonsense("), { kind: "refused" })
    }))
})
