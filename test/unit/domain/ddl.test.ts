import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Ddl from "../../../src/domain/Ddl.ts"
import { ddlChange, rowsOf, steps, transaction } from "../../support/ddlRows.ts"

const at = { transaction: transaction(1), ordinal: 0 }
const parse = (values: Readonly<Record<string, string | null>>) => Ddl.parse(ddlChange(values, at))
const first = (step: Parameters<typeof rowsOf>[0]) => Result.getOrThrow(parse(rowsOf(step)[0]!))

describe("Ddl", () => {
  it("reads every row that the triggers wrote", () => {
    for (const step of steps) for (const row of rowsOf(step)) assert.isTrue(Result.isSuccess(parse(row)), step)
  })

  it("reads columns, keys without INCLUDE columns, and comments", () => {
    const [table] = first("comment").tables
    const shape = table!.shape!
    assert.deepStrictEqual(shape.columns.map((c) => [c.attnum, c.name, c.type, c.notNull, c.generated, c.default, c.comment]), [
      [1, "id", "integer", true, false, null, null],
      [2, "k", "integer", true, false, null, null],
      [3, "m", "app.mood", false, false, null, null],
      [4, "ms", "app.mood[]", false, false, null, null],
      [5, "g", "integer", false, true, "(k * 2)", null],
      [6, "c", "text", false, false, "'it''s'::text", `a "note"`]
    ])
    assert.deepStrictEqual(shape.indexes, [{ primary: true, replicaIdentity: false, immediate: true, plainUnique: true, key: [2, 1] }])
    assert.isNumber(shape.schemaOid)
  })

  it("says that FULL is ours, and what the table had", () => {
    const row = first("keyless table")
    const [table] = row.tables
    assert.strictEqual(table!.shape!.replicaIdentity, "f")
    assert.strictEqual(table!.shape!.fullIsOurs, "d")
    assert.deepStrictEqual([...row.madeFull.values()], ["d"])
    assert.strictEqual(row.newIds.get(table!.oid)?.length, 20)
  })

  it("reads drops, schemas, types and settings", () => {
    assert.deepStrictEqual(first("drop schema").schemas.map((s) => [s.name, s.tag]), [["other", "CREATE SCHEMA"]])
    const dropped = Result.getOrThrow(parse(rowsOf("drop schema")[2]!)).dropped
    assert.deepStrictEqual(dropped.map((d) => [d.kind, d.schema, d.name]), [
      ["schema", "", "App"], ["table", "App", "three"], ["schema", "", "other"], ["table", "other", "x"]
    ])
    assert.deepStrictEqual([...first("rename type").types.values()].toSorted(), [`app."Mood"`, `app."Mood"[]`])
    assert.isTrue(first("skip").skip)
    assert.isFalse(first("repeatable read").readCommitted)
    assert.isTrue(first("refresh").readCommitted)
    assert.strictEqual(first("refresh").schemas[0]!.oid, 0)
  })

  it("takes a snapshot in place of the xid for a look", () => {
    const row = Result.getOrThrow(parse({ ...rowsOf("keyless table")[0]!, xid: "100:105:101,103" }))
    assert.isUndefined(row.xid)
    const seen = [99, 100, 101, 102, 103, 104, 105].filter((xid) => Ddl.sees(row.snapshot!, xid))
    assert.deepStrictEqual(seen, [99, 100, 102, 104])
  })

  it("answers with an error for anything else, and never with a value of the row", () => {
    const good = rowsOf("alter table")[0]!
    const bad: ReadonlyArray<Readonly<Record<string, string | null>>> = [
      { ...good, tables: "{" },
      { ...good, tables: "{}" },
      { ...good, tables: `[{"oid": "x", "kind": "r"}]` },
      { ...good, tables: `[{"oid": "1", "kind": "r", "replident": "secret"}]` },
      { ...good, tables: `[{"oid": "1", "kind": "r", "replident": "d", "schema": "s", "name": "n", "columns": [["secret"]]}]` },
      { ...good, dropped: `[[1]]` },
      { ...good, xid: null },
      { ...good, xid: "1:x:" },
      { ...good, new_ids: "[]" }
    ]
    for (const values of bad) {
      const result = parse(values)
      assert.isTrue(Result.isFailure(result), JSON.stringify(values))
      if (Result.isFailure(result)) assert.notMatch(result.failure.message, /secret/)
    }
  })

  it("has no shape for what is no table, nor for what could not be read", () => {
    const row = Result.getOrThrow(parse({ ...rowsOf("alter table")[0]!, tables: `[{"oid": "7", "unsure": true}, {"oid": "8", "kind": "v"}]` }))
    assert.deepStrictEqual(row.tables.map((t) => [t.oid, t.shape]), [[7, undefined]])
    assert.isTrue(Result.isFailure(Ddl.parseShape({ oid: "8", kind: "v" })))
    assert.isTrue(Result.isFailure(Ddl.parseShape(null)))
  })
})
