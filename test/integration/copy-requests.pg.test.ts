/** `CopyRequestsPg` against the contract, and what others read of it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { KEPT_COPIES } from "../../src/domain/copy/create.ts"
import * as CopyRequestsPg from "../../src/layers/postgres/copy/CopyRequestsPg.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { CopyRequests } from "../../src/services/CopyRequests.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { testDatabase } from "../support/database.ts"
import { settings } from "../support/slots.ts"
import { suite } from "../suites/CopyRequestsSuite.ts"

const database = testDatabase("copyrequests")

const source = Layer.effect(
  Sql.SourceSql,
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(database.url), "copy requests test", 2)
    yield* MigrationsSource.run(sql)
    return sql
  })
)
const layerOf = (slotName: string) =>
  Layer.provideMerge(CopyRequestsPg.layer, source).pipe(Layer.provide(Layer.succeed(SourceSettings, settings(database.url, slotName))))

suite("postgres", layerOf("only"))

it.live("snapshot_requests says the same of a copy that nobody in particular asked for", () =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const rows = () => database.psql(`SELECT schema_name, table_names, status, errors FROM pgstream.snapshot_requests WHERE schema_name LIKE 'm%' ORDER BY 1`).trim()
    const { copy } = yield* requests.create({
      subscription: undefined, where: undefined, mode: "full", repeatable: false,
      tables: [{ schema: "m2", table: "b" }, { schema: "m1", table: "z" }, { schema: "m2", table: "a" }]
    })
    assert.strictEqual(rows(), "m1|{z}|requested|\nm2|{a,b}|requested|")
    yield* requests.setState(copy!.id, "running")
    assert.strictEqual(rows(), "m1|{z}|in progress|\nm2|{a,b}|in progress|")
    yield* requests.setState(copy!.id, "failed", "a: no")
    assert.strictEqual(rows(), `m1|{z}|completed|{"error": "a: no"}\nm2|{a,b}|completed|{"error": "a: no"}`)
  }).pipe(Effect.provide(layerOf("mirror"))))

it.live("another stream of the database has copies of its own", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* (yield* CopyRequests).list, [])
  }).pipe(Effect.provide(layerOf("other"))))

it.live("what the program before has completed is not copied again, unless it is repeatable", () =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    database.psql(`INSERT INTO pgstream.snapshot_requests (schema_name, table_names, status, errors) VALUES
      ('old', '{a,b}', 'completed', NULL), ('all', '{*}', 'completed', NULL), ('old', '{c}', 'completed', '{"snapshot": "no"}'), ('old', '{d}', 'in progress', NULL)`)
    const tables = ["old.a", "old.b", "old.c", "old.d", "all.x"].map((name) => ({ schema: name.split(".")[0]!, table: name.split(".")[1]! }))
    const ask = (repeatable: boolean) => requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable, tables })
    const names = (list: ReadonlyArray<{ readonly schema: string; readonly table: string }> = []) => list.map(({ schema, table }) => `${schema}.${table}`)
    const once = yield* ask(false)
    assert.deepStrictEqual([names(once.copy?.tables), names(once.skipped)], [["old.c", "old.d"], ["old.a", "old.b", "all.x"]])
    assert.deepStrictEqual(names((yield* ask(true)).copy?.tables), ["old.a", "old.b", "all.x"])
  }).pipe(Effect.provide(layerOf("before"))))

it.live("copies that are over do not grow without a limit; those that say what is not copied again stay", () =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const { copy } = yield* requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable: false, tables: [{ schema: "k", table: "kept" }] })
    yield* requests.setState(copy!.id, "done")
    database.psql(`INSERT INTO pgstream.copies (stream, subscription, tables, mode, repeatable, state)
      SELECT stream, gen_random_uuid(), '[]', 'full', true, 'done' FROM pgstream.copies, generate_series(1, ${KEPT_COPIES + 100}) WHERE id = ${copy!.id}`)
    yield* requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable: true, tables: [{ schema: "k", table: "new" }] })
    const listed = yield* requests.list
    assert.lengthOf(listed, KEPT_COPIES + 2)
    assert.include(listed.map(({ id }) => id), copy!.id)
  }).pipe(Effect.provide(layerOf("many"))))

it.live("a copy that is trimmed takes its rows of snapshot_requests along, not those of others, and is not taken for the program before", () =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const ask = (name: string, repeatable: boolean) =>
      requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable, tables: [{ schema: "trim", table: name }] })
    const rows = () => database.psql("SELECT table_names, status FROM pgstream.snapshot_requests WHERE schema_name = 'trim' ORDER BY table_names, updated_at").trim().split("\n")
    const insert = (updatedAt: string) => database.psql(`INSERT INTO pgstream.snapshot_requests (schema_name, table_names, status, created_at, updated_at)
      VALUES ('trim', '{often}', 'completed', ${updatedAt}, ${updatedAt})`)
    insert("now() - interval '1 day'")
    for (const name of ["once", "often"]) {
      const { copy } = yield* ask(name, true)
      yield* requests.setState(copy!.id, "running")
      yield* name === "once" ? requests.cancel(copy!.id) : requests.setState(copy!.id, "done")
    }
    insert("now() + interval '1 day'")
    database.psql("UPDATE pgstream.snapshot_requests SET errors = NULL WHERE schema_name = 'trim'")
    assert.deepStrictEqual(rows(), ["{often}|completed", "{often}|completed", "{often}|completed", "{once}|completed"])
    database.psql(`INSERT INTO pgstream.copies (stream, subscription, tables, mode, repeatable, state)
      SELECT stream, gen_random_uuid(), '[]', 'full', true, 'done' FROM pgstream.copies c, generate_series(1, ${KEPT_COPIES}) WHERE c.tables @> '[{"table": "once"}]'`)
    yield* ask("other", true)
    assert.deepStrictEqual(rows(), ["{often}|completed", "{often}|completed", "{other}|requested"])
    assert.deepStrictEqual((yield* ask("once", false)).copy?.tables, [{ schema: "trim", table: "once" }])
  }).pipe(Effect.provide(layerOf("trim"))))

it.live("keys of users' rows go with the copy's end, and none come after it", () =>
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const count = (id: string) => Number(database.psql(`SELECT count(*) FROM pgstream.copy_keys WHERE copy_id = ${id}`).trim())
    const ends = { cancelled: requests.cancel, failed: (id: string) => requests.setState(id, "failed", "no"), done: (id: string) => requests.setState(id, "done") }
    for (const [state, end] of Object.entries(ends)) {
      const { copy } = yield* requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable: true, tables: [{ schema: "keys", table: state }] })
      const { id } = copy!
      yield* requests.setState(id, "running")
      yield* requests.addPending([{ copy: id, oid: 7, key: ["a user's"] }])
      assert.strictEqual(count(id), 1)
      yield* end(id)
      assert.strictEqual(count(id), 0)
      yield* requests.addPending([{ copy: id, oid: 7, key: ["late"] }])
      assert.deepStrictEqual([count(id), (yield* requests.get(id)).state as string], [0, state])
    }
    const { copy } = yield* requests.create({ subscription: undefined, where: undefined, mode: "full", repeatable: true, tables: [{ schema: "keys", table: "paused" }] })
    yield* requests.addPending([{ copy: copy!.id, oid: 7, key: ["kept"] }])
    yield* requests.pause(copy!.id)
    yield* requests.addPending([{ copy: copy!.id, oid: 8, key: ["kept"] }])
    yield* requests.setState(copy!.id, "done")
    assert.strictEqual(count(copy!.id), 2)
  }).pipe(Effect.provide(layerOf("keys"))))
