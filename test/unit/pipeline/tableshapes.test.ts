import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Change, type Relation, ValueClass } from "../../../src/domain/Change.ts"
import type { Chunk, Commit, Item } from "../../../src/domain/Chunk.ts"
import * as EventId from "../../../src/domain/EventId.ts"
import * as Injector from "../../../src/layers/pipeline/Injector.ts"
import * as InjectorNone from "../../../src/layers/pipeline/InjectorNone.ts"
import * as TableShapesLive from "../../../src/layers/pipeline/TableShapes.ts"
import { DdlTracker } from "../../../src/services/DdlTracker.ts"
import { Injector as InjectorService } from "../../../src/services/Injector.ts"
import { TableShapes } from "../../../src/services/TableShapes.ts"
import { changeOf, type DdlValues, ddlChange, rowsOf, transaction } from "../../support/ddlRows.ts"

const nothing = { tables: [], versions: [] }
const commit = (n: number): Commit =>
  ({ _tag: "Commit", transaction: transaction(n), endLsn: 1000 * n + 999, shapes: undefined, definitions: undefined })
const chunk = (...items: ReadonlyArray<Item>): Chunk => ({ items, bytes: 100 })
const ddl = (values: DdlValues, n: number, ordinal = 0) => ddlChange(values, { transaction: transaction(n), ordinal })

const oidOf = (step: Parameters<typeof rowsOf>[0]) =>
  Number((JSON.parse(rowsOf(step)[0]!["tables"]!) as ReadonlyArray<{ readonly oid: string }>)[0]!.oid)

const keyless = (names: ReadonlyArray<string>, oid = oidOf("keyless table")): Relation => ({
  oid, schema: "public", table: "keyless", replicaIdentity: oid === 0 ? "" : "f",
  columns: names.map((name) => ({
    name, typeOid: name === "b" ? 1043 : 23, typmod: name === "b" ? 7 : -1, typeName: name === "b" ? "character varying(3)" : "integer",
    valueClass: name === "b" ? ValueClass.text : ValueClass.number, key: true
  }))
})
const row = (relation: Relation, n: number, ordinal = 1): Change => changeOf(relation, { a: "1", b: "x" }, { transaction: transaction(n), ordinal })

const open = Effect.gen(function*() {
  return yield* (yield* TableShapes).open(nothing)
})
const shapesLayer = TableShapesLive.layer

describe("TableShapes", () => {
  it.effect("replaces rows of pgstream.ddl by what they stand for, and puts the rest on the commit", () =>
    Effect.gen(function*() {
      const shapes = yield* open
      const end = commit(1)
      const before = row(keyless(["a", "b"]), 1, 0)
      const after = row(keyless(["a", "b"]), 1, 2)
      const out = yield* shapes.advance(chunk(before, ddl(rowsOf("keyless table")[0]!, 1, 1), after, end))
      const changes = out.items.filter((item) => item._tag === "Change")
      assert.deepStrictEqual(changes.map((c) => `${c.kind} ${c.relation!.schema}.${c.relation!.table}`), [
        "I public.keyless", "I pgstream.table_ids", "I pgstream.schema_log", "I public.keyless"
      ])
      const id = EventId.of({ ...before, ordinal: 1 })
      assert.deepStrictEqual(changes.slice(1, 3).map((c) => [EventId.of(c), c.lsn]), [[`${id}-0`, 1010], [`${id}-1`, 1011]])
      assert.isUndefined(before.shape)
      assert.strictEqual(after.shape?.name, "keyless")
      assert.deepStrictEqual(changes[2]!.affects, [oidOf("keyless table")])
      assert.deepStrictEqual(end.shapes!.entries.map((e) => [e.schema, e.version]), [["public", 1]])
      assert.strictEqual(end.shapes!.newIds.length, 1)
      assert.strictEqual(shapes.versionOf("public")!.version, 1)
      assert.strictEqual(shapes.shapeOf(oidOf("keyless table"))!.name, "keyless")
      assert.isAbove(out.bytes, 100)
    }).pipe(Effect.provide(shapesLayer)))

  it.effect("hands the same shape object on until something about the table or its entry changes", () =>
    Effect.gen(function*() {
      const shapes = yield* open
      yield* shapes.advance(chunk(ddl(rowsOf("keyless table")[0]!, 1), commit(1)))
      const relation = keyless(["a", "b"])
      const [a, b, c, d] = [2, 3, 4, 5].map((n) => row(relation, n)) as [Change, Change, Change, Change]
      yield* shapes.advance(chunk(a, commit(2)))
      yield* shapes.advance(chunk(b, commit(3), ddl(rowsOf("create type")[0] ?? rowsOf("create table as")[0]!, 4), c, commit(4)))
      assert.strictEqual(a.shape, b.shape)
      assert.strictEqual(b.shape, c.shape, "another table's row changes nothing")
      yield* shapes.advance(chunk(ddl(rowsOf("refresh")[0]!, 5), d, commit(5)))
      assert.notStrictEqual(c.shape, d.shape, "a new entry does")
      assert.strictEqual(d.shape!.logged!.entryId, rowsOf("refresh")[0]!["entry_id"])
    }).pipe(Effect.provide(shapesLayer)))

  it.effect("finds wal2json's tables by name", () =>
    Effect.gen(function*() {
      const shapes = yield* open
      const change = row(keyless(["b"], 0), 2)
      yield* shapes.advance(chunk(ddl(rowsOf("keyless table")[0]!, 1), commit(1), change, commit(2)))
      assert.strictEqual(change.shape?.oid, oidOf("keyless table"))
    }).pipe(Effect.provide(shapesLayer)))

  it.effect("follows the relation where the shape is behind, and asks for a look once", () => {
    const asked: Array<ReadonlyArray<number>> = []
    const tracker = Layer.mock(DdlTracker, { request: (oids) => void asked.push(oids) })
    return Effect.gen(function*() {
      const shapes = yield* open
      const relation = keyless(["a", "b", "z"])
      const change = row(relation, 2)
      const again = row(relation, 3)
      yield* shapes.advance(chunk(ddl(rowsOf("keyless table")[0]!, 1), commit(1), change, commit(2)))
      yield* shapes.advance(chunk(ddl(rowsOf("create table as")[0]!, 3), again, commit(3)))
      assert.deepStrictEqual(change.shape!.columns.map((c) => [c.attnum, c.name]), [[1, "a"], [2, "b"], [0, "z"]])
      assert.isDefined(change.shape!.logged)
      assert.deepStrictEqual(asked, [[relation.oid]])
    }).pipe(Effect.provide(Layer.provide(shapesLayer, tracker)))
  })

  it.effect("asks for a look at what a row of another isolation level says, and goes on after one it cannot read", () => {
    const asked: Array<ReadonlyArray<number>> = []
    const tracker = Layer.mock(DdlTracker, { request: (oids) => void asked.push(oids) })
    return Effect.gen(function*() {
      const shapes = yield* open
      const out = yield* shapes.advance(chunk(
        ddl(rowsOf("repeatable read")[0]!, 1, 0),
        ddl({ ...rowsOf("keyless table")[0]!, tables: "{" }, 1, 1),
        { _tag: "Undecodable", transaction: transaction(1), ordinal: 2, lsn: 1, reason: "larger than 10 bytes", table: "pgstream.ddl" },
        { _tag: "Undecodable", transaction: transaction(1), ordinal: 3, lsn: 1, reason: "larger than 10 bytes", table: "public.t" },
        commit(1)
      ))
      assert.deepStrictEqual(asked, [[oidOf("repeatable read")], []])
      const unreadable = (n: number): Item =>
        ({ _tag: "Undecodable", transaction: transaction(n), ordinal: 0, lsn: n, reason: "larger than 10 bytes", table: "pgstream.ddl" })
      for (let n = 2; n < 20; n++) yield* shapes.advance(chunk(unreadable(n), commit(n)))
      assert.lengthOf(asked.filter((oids) => oids.length === 0), 10)
      assert.deepStrictEqual(out.items.map((item) => item._tag), ["Change", "Change", "Undecodable", "Commit"])
    }).pipe(Effect.provide(Layer.provide(shapesLayer, tracker)))
  })

  it.effect("changes nothing, and makes no chunk, where there is no DDL", () =>
    Effect.gen(function*() {
      const shapes = yield* open
      const given = chunk(row(keyless(["a"]), 1), commit(1))
      assert.strictEqual(yield* shapes.advance(given), given)
      assert.isUndefined((given.items[1] as Commit).shapes)
    }).pipe(Effect.provide(shapesLayer)))
})

describe("Injector", () => {
  const through = (layer: Layer.Layer<InjectorService>, ...items: ReadonlyArray<Item>) =>
    Effect.gen(function*() {
      const shapes = yield* open
      const injector = yield* InjectorService
      return yield* injector.inject(yield* shapes.advance(chunk(...items)), shapes)
    }).pipe(Effect.provide(Layer.merge(shapesLayer, layer)))

  it.effect("sets the ids of the entry in force at the place of each change", () =>
    Effect.gen(function*() {
      const [none, first, later] = [row(keyless(["a", "b"]), 1, 0), row(keyless(["a", "b"]), 1, 2), row(keyless(["a", "b"]), 2, 1)]
      const out = yield* through(
        Injector.layer, none, ddl(rowsOf("keyless table")[0]!, 1, 1), first, commit(1), ddl(rowsOf("refresh")[0]!, 2), later, commit(2)
      )
      assert.isUndefined(none.metadata)
      assert.strictEqual(first.metadata!.schemaId, rowsOf("keyless table")[0]!["entry_id"])
      assert.strictEqual(later.metadata!.schemaId, rowsOf("refresh")[0]!["entry_id"])
      assert.strictEqual(first.metadata!.columnIds.get("b"), `${first.metadata!.tableId}-2`)
      assert.isNull(first.metadata!.idColumnIds)
      const own = out.items.filter((item) => item._tag === "Change" && item.relation!.schema === "pgstream")
      assert.deepStrictEqual(own.map((item) => (item as Change).relation!.table), ["schema_log", "schema_log"])
      assert.isUndefined((own[0] as Change).metadata)
    }))

  it.effect("gives no ids to a column that the entry in force does not know, nor to a table that it does not", () =>
    Effect.gen(function*() {
      const skipped = row(keyless(["a", "b", "z"]), 2)
      const copied = changeOf({ ...keyless(["a"], oidOf("create table as")), table: "ctas" }, { a: "1" }, { transaction: transaction(3), ordinal: 1 })
      yield* through(
        Injector.layer, ddl(rowsOf("keyless table")[0]!, 1), commit(1), ddl(rowsOf("skip")[0]!, 2), skipped, commit(2),
        ddl(rowsOf("create table as")[0]!, 3), copied, commit(3)
      )
      assert.deepStrictEqual([...skipped.metadata!.columnIds.keys()], ["a", "b"])
      assert.isDefined(copied.shape)
      assert.isUndefined(copied.metadata)
    }))

  it.effect("sets and drops nothing when it is off", () =>
    Effect.gen(function*() {
      const change = row(keyless(["a", "b"]), 1, 1)
      const out = yield* through(InjectorNone.layer, ddl(rowsOf("keyless table")[0]!, 1), change, commit(1))
      assert.isUndefined(change.metadata)
      assert.strictEqual(out.items.length, 4)
    }))
})
