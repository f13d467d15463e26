import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Ddl from "../../../src/domain/Ddl.ts"
import { MAX_TABLES_AT_ONCE, type SchemaEvent, Shapes } from "../../../src/domain/Shapes.ts"
import { adopt, agrees } from "../../../src/domain/ShapesRelation.ts"
import type { ShapesDelta, ShapesSnapshot, TableShape } from "../../../src/domain/TableShape.ts"
import { type DdlValues, ddlChange, rowsOf, steps, transaction } from "../../support/ddlRows.ts"

const nothing: ShapesSnapshot = { tables: [], versions: [] }

/** Each row a transaction of its own; answers with what it and its commit stand for. */
const feed = (shapes: Shapes, values: DdlValues, n: number, commits = true): ReadonlyArray<SchemaEvent> => {
  const change = ddlChange(values, { transaction: transaction(n), ordinal: 2 })
  const row = Result.getOrThrow(Ddl.parse(change))
  const events = shapes.apply(row, { transaction: change.transaction, ordinal: 2, lsn: change.lsn, nextSub: 0 })
  return commits ? [...events, ...shapes.commit().events] : events
}

const text = (event: SchemaEvent): string => {
  if (event._tag === "TableId") return `id ${event.oid}`
  const { json, schema, version } = event.entry
  const tables = (JSON.parse(json) as { tables: ReadonlyArray<{ name: string }> | null; dropped?: boolean })
  return `${schema} ${version}: ${tables.dropped ? "dropped" : tables.tables?.map((t) => t.name).join(" ") ?? "null"}`
}

const upTo = (step: (typeof steps)[number], shapes = new Shapes(nothing)): Shapes => {
  let n = 0
  for (const each of steps) {
    for (const row of rowsOf(each)) feed(shapes, row, n++)
    if (each === step) break
  }
  return shapes
}

const fold = (deltas: ReadonlyArray<ShapesDelta | undefined>): ShapesSnapshot => {
  const tables = new Map<number, TableShape>()
  const versions = new Map<string, ShapesSnapshot["versions"][number]>()
  let recent: ShapesSnapshot["recent"] = []
  for (const delta of deltas) {
    for (const [oid, shape] of delta?.tables ?? []) {
      if (shape === undefined) tables.delete(oid)
      else tables.set(oid, shape)
    }
    for (const [name, version] of delta?.versions ?? []) versions.set(name, version)
    recent = delta?.recent ?? recent
  }
  // As a store gives it back: without what is undefined.
  return JSON.parse(JSON.stringify({ tables: [...tables.values()], versions: [...versions.values()], recent })) as ShapesSnapshot
}

const all = steps.flatMap((step) => rowsOf(step).map((row) => ({ step, row })))

describe("Shapes", () => {
  it("makes golden's events of rows that the triggers wrote", () => {
    const shapes = new Shapes(nothing)
    const seen = all.map(({ row, step }, n) => `${step}: ${feed(shapes, row, n).map(text).map((t) => t.replace(/^id .*/, "id")).join(", ")}`)
    assert.deepStrictEqual(seen, [
      "create schema with a table: id, id, app 1: one two",
      "create table: id, app 2: one three two",
      "comment: ",
      "keyless table: id, public 1: keyless",
      "create table as: ",
      "alter table: app 3: one three two",
      "set schema: id, public 2: ctas keyless one",
      "skip: ",
      "unique index: ",
      "partial unique index: ",
      "partitioned table: id, public 3: ctas keyless one p",
      "partition: id, public 4: ctas keyless one p p1",
      "leaf: id, public 5: ctas keyless one p p1 p1a",
      "alter parent: public 6: ctas keyless one p p1 p1a",
      "detach: public 7: ctas keyless one p p1 p1a",
      "rename type: ",
      "rename schema: ",
      "refresh: public 8: ctas keyless one p p1 p1a",
      "repeatable read: public 9: ctas keyless one p p1 p1a",
      "drop table: App 1: three, public 10: keyless one p p1 p1a",
      "drop schema: other 1: null",
      "drop schema: id, other 2: x",
      "drop schema: App 2: dropped, other 3: dropped"
    ])
  })

  it("gives the same events, ids and versions from any checkpoint on", () => {
    const whole = new Shapes(nothing)
    const events: Array<ReadonlyArray<SchemaEvent>> = []
    const deltas: Array<ShapesDelta | undefined> = []
    all.forEach(({ row }, n) => {
      const made = feed(whole, row, n, false)
      const { delta, events: late } = whole.commit()
      events.push([...made, ...late])
      deltas.push(delta)
    })
    for (let from = 0; from < all.length; from++) {
      const shapes = new Shapes(fold(deltas.slice(0, from)))
      all.slice(from).forEach(({ row }, n) => {
        assert.deepStrictEqual(
          feed(shapes, row, from + n).map((e) => e._tag === "Entry" ? e.entry : e.id),
          events[from + n]!.map((e) => e._tag === "Entry" ? e.entry : e.id), `from ${from}`
        )
      })
    }
  })

  it("numbers the events of a row, with lsn and id of its own for each", () => {
    const events = feed(new Shapes(nothing), rowsOf("create schema with a table")[0]!, 3)
    assert.deepStrictEqual(events.map((e) => e.sub), [0, 1, 2])
    const entry = events[2]!
    assert.isTrue(entry._tag === "Entry" && entry.entry.lsn === 3020 + 2 && entry.entry.id === rowsOf("create schema with a table")[0]!["entry_id"])
    const dropped = new Set(feed(upTo("drop table"), rowsOf("drop schema")[2]!, 99).map((e) => e._tag === "Entry" ? e.entry.id : e.id))
    assert.strictEqual(dropped.size, 2, "two entries of one row have two ids")
  })

  it("follows partitions: roots, and what DETACH leaves out", () => {
    const shapes = upTo("alter parent")
    const root = (name: string) => shapes.find(shapes.named("public", name)!.root)!.name
    assert.deepStrictEqual(["p", "p1", "p1a"].map(root), ["p", "p", "p"])
    feed(shapes, rowsOf("detach")[0]!, 99)
    assert.deepStrictEqual(["p", "p1", "p1a"].map(root), ["p", "p1", "p1"])
    assert.deepStrictEqual(shapes.named("public", "p1")!.parents, [])
  })

  it("renames types, their arrays and schemas in shapes", () => {
    const shapes = upTo("rename schema")
    const three = shapes.named("App", "three")!
    assert.isUndefined(shapes.named("app", "three"))
    assert.deepStrictEqual(three.columns.slice(2, 4).map((c) => c.type), [`"App"."Mood"`, `"App"."Mood"[]`])
    assert.isUndefined(shapes.logged(three), "no entry of the new name yet")
  })

  it("resolves against the entry in force, not what came after it", () => {
    const shapes = upTo("skip")
    const keyless = shapes.named("public", "keyless")!
    assert.deepStrictEqual(keyless.columns.map((c) => c.name), ["a", "b", "z"])
    assert.deepStrictEqual(shapes.logged(keyless)!.shape.columns.map((c) => c.name), ["a", "b"])
    const [skip] = rowsOf("skip")
    feed(shapes, { ...skip!, id: "9998", tables: skip!["tables"]!.replace(`"z"`, `"zz"`) }, 98)
    assert.deepStrictEqual(shapes.find(keyless.oid)!.columns.map((c) => c.name), ["a", "b", "zz"])
    assert.deepStrictEqual(shapes.logged(shapes.find(keyless.oid)!)!.shape.columns.map((c) => c.name), ["a", "b"], "nor what came after that")
    const later = upTo("refresh")
    assert.deepStrictEqual(later.logged(later.named("public", "keyless")!)!.shape.columns.map((c) => c.name), ["a", "b", "z"])
  })

  it("keeps FULL as ours while rows that do not say it follow", () => {
    const shapes = upTo("skip")
    assert.strictEqual(shapes.named("public", "keyless")!.fullIsOurs, "d")
  })

  it("drops what a look saw before the stream went on, and what a parent's row read of a child before", () => {
    const shapes = upTo("alter parent")
    const p1 = shapes.named("public", "p1")!
    const newest = Number(rowsOf("alter parent")[0]!["id"])
    const older = { ...rowsOf("leaf")[0]!, tag: "LOOK", tables: rowsOf("partition")[0]!["tables"]! }
    const xid = rowsOf("alter parent")[0]!["xid"]!
    assert.deepStrictEqual(feed(shapes, { ...older, id: "9999", xid: `${xid}:${Number(xid) + 1}:${xid}` }, 50), [])
    assert.strictEqual(shapes.find(p1.oid), p1, "the look does not see the newest row")
    feed(shapes, { ...older, tag: "CREATE INDEX", id: String(newest - 1), xid: "999" }, 51)
    assert.strictEqual(shapes.find(p1.oid), p1, "a lower id is older")
    const events = feed(shapes, { ...older, id: "9999", xid: `${Number(xid) + 1}:${Number(xid) + 1}:` }, 52)
    assert.deepStrictEqual(shapes.find(p1.oid)!.columns.map((c) => c.name), ["id", "at"])
    assert.strictEqual(events.length, 1, "a look that found a difference makes an entry")
    assert.deepStrictEqual(feed(shapes, { ...older, id: "9999", xid: `${Number(xid) + 1}:${Number(xid) + 1}:` }, 53), [], "one that found none does not")
  })

  it("does not bring a dropped table back for a look that is older", () => {
    const shapes = upTo("drop table")
    const xid = Number(rowsOf("drop table")[0]!["xid"])
    const look = { ...rowsOf("create table as")[0]!, tag: "LOOK", id: "9999", xid: `${xid}:${xid}:` }
    assert.deepStrictEqual(feed(shapes, look, 60), [])
    assert.isUndefined(shapes.named("public", "ctas"))
  })

  it("makes one entry a transaction of a large schema, at the commit, with the last row's place", () => {
    const shapes = new Shapes(nothing)
    const template = rowsOf("create table as")[0]!
    const create = (n: number): DdlValues => {
      const [shape] = JSON.parse(template["tables"]!) as ReadonlyArray<Record<string, unknown>>
      const tables = JSON.stringify([{ ...shape, oid: String(n), name: `t${String(n).padStart(4, "0")}`, root: String(n) }])
      return { ...template, tag: "CREATE TABLE", id: String(n), entry_id: `e${n}`, tables, new_ids: JSON.stringify({ [n]: `x${n}` }), made_full: null }
    }
    const size = MAX_TABLES_AT_ONCE + 50
    const rows = Array.from({ length: size }, (_, n) => feed(shapes, create(n + 1), 1, false))
    assert.deepStrictEqual(rows.slice(0, MAX_TABLES_AT_ONCE).map((events) => events.length), rows.slice(0, MAX_TABLES_AT_ONCE).map(() => 2))
    assert.isTrue(rows.slice(MAX_TABLES_AT_ONCE).every((events) => events.length === 0))
    const { delta, events } = shapes.commit()
    assert.strictEqual(events.length, 51)
    const last = events.at(-1)!
    assert.isTrue(last._tag === "Entry" && last.entry.id === `e${size}` && last.entry.version === 101)
    assert.strictEqual(last.affects.length, 50, "tables of all its rows")
    assert.strictEqual(delta!.newIds.length, size)
    assert.strictEqual(shapes.versionOf("public")!.tables.length, size)
    assert.isUndefined(shapes.commit().delta)
  })

  it("has no entries for system schemas", () => {
    const shapes = new Shapes(nothing)
    const row = { ...rowsOf("keyless table")[0]!, tables: rowsOf("keyless table")[0]!["tables"]!.replaceAll(`"schema": "public"`, `"schema": "pgroll"`) }
    assert.deepStrictEqual(feed(shapes, row, 1), [])
    assert.isDefined(shapes.named("pgroll", "keyless"))
  })
})

describe("ShapesRelation", () => {
  const shape = upTo("alter table").named("app", "one")!
  const relation = {
    oid: shape.oid, schema: "app", table: "one", replicaIdentity: "d" as const,
    columns: shape.columns.map((c, i) => ({ name: c.name, typeOid: c.typeOid, typmod: c.typmod, typeName: c.type, valueClass: 0 as const, key: i === 0 }))
  }

  it("agrees with the relation of the same table", () => {
    assert.isTrue(agrees(shape, relation))
    assert.isTrue(agrees(shape, { ...relation, oid: 0, replicaIdentity: "", columns: relation.columns.slice(1) }), "wal2json leaves TOAST out")
  })

  it("takes names, types and identity from the relation, and keeps ids, where they differ", () => {
    const [id, v, w] = relation.columns
    const now = { ...relation, replicaIdentity: "f" as const, columns: [id!, { ...v!, name: "vv" }, { ...w!, typeOid: 20, typeName: "bigint", typmod: -1 }] }
    assert.isFalse(agrees(shape, now))
    const adopted = adopt(shape, now)
    assert.deepStrictEqual(adopted.columns.map((c) => [c.attnum, c.name, c.type]), [[1, "id", "integer"], [0, "vv", "text"], [3, "w", "bigint"]])
    assert.strictEqual(adopted.replicaIdentity, "f")
    assert.isUndefined(adopted.fullIsOurs)
    assert.deepStrictEqual([adopted.tableId, adopted.root, adopted.indexes.length], [shape.tableId, shape.root, 1])
    assert.isTrue(agrees(adopted, now))
  })

  it("forgets a primary key that the relation does not have", () => {
    const keyless = { ...relation, columns: relation.columns.map((c) => ({ ...c, key: false })) }
    assert.isFalse(agrees(shape, keyless))
    assert.deepStrictEqual(adopt(shape, keyless).indexes, [])
  })
})
