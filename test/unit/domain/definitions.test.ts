import { assert, describe, it } from "@effect/vitest"
import type { Change, ChangeKind, Relation } from "../../../src/domain/Change.ts"
import { DefinitionIndex } from "../../../src/domain/DefinitionIndex.ts"
import { apply, difference } from "../../../src/domain/Definitions.ts"
import { inStreamOrder, endOfPage } from "../../../src/domain/ParkedOrder.ts"
import type { Subscription } from "../../../src/domain/Subscription.ts"
import { parseTextArray, parseTimestampUs } from "../../../src/domain/SubscriptionRow.ts"

const relations = new Map<string, Relation>()
const relation = (schema: string, table: string): Relation => {
  const key = `${schema}.${table}`
  if (!relations.has(key)) relations.set(key, { oid: 1, schema, table, replicaIdentity: "d", columns: [] })
  return relations.get(key)!
}
const change = (kind: ChangeKind, schema = "", table = ""): Pick<Change, "kind" | "relation"> =>
  ({ kind, relation: kind === "M" ? undefined : relation(schema, table) })

let age = 0
const row = (id: string, endpointId: string, schema = "", table = "", eventTypes: ReadonlyArray<ChangeKind> = []): Subscription =>
  ({ id, endpointId, url: `http://${endpointId}/`, schema, table, eventTypes, createdAtUs: age++ })

const selected = (index: DefinitionIndex, kind: ChangeKind, schema = "", table = "") =>
  index.select(change(kind, schema, table)).map(({ endpointId, selectedBy }) => `${endpointId}:${selectedBy.join(",")}`)

describe("DefinitionIndex", () => {
  it("matches schema and table exactly, and empty ones with everything", () => {
    const index = new DefinitionIndex([
      row("all", "a"), row("schema", "b", "public"), row("table", "c", "public", "t"), row("anySchema", "d", "", "t"), row("case", "e", "public", "T")
    ])
    assert.deepStrictEqual(selected(index, "I", "public", "t"), ["c:table", "d:anySchema", "b:schema", "a:all"])
    assert.deepStrictEqual(selected(index, "I", "other", "t"), ["d:anySchema", "a:all"])
    assert.deepStrictEqual(selected(index, "I", "public", "T"), ["e:case", "b:schema", "a:all"])
    assert.deepStrictEqual(selected(index, "I", "x", "y"), ["a:all"])
  })

  it("sends once to each endpoint, by its most specific row, then its oldest", () => {
    const index = new DefinitionIndex([
      row("all", "a"), row("schema", "a", "public"), row("table", "a", "public", "t"), row("older", "b"), row("newer", "b", "", "")
    ])
    assert.deepStrictEqual(selected(index, "I", "public", "t"), ["a:table,schema,all", "b:older,newer"])
  })

  it("takes no types as all but M, and messages only where M is named", () => {
    const index = new DefinitionIndex([row("none", "a"), row("insert", "b", "", "", ["I"]), row("message", "c", "nope", "nope", ["M", "U"])])
    assert.deepStrictEqual(selected(index, "I", "s", "t"), ["a:none", "b:insert"])
    for (const kind of ["U", "D", "T"] as const) assert.deepStrictEqual(selected(index, kind, "s", "t"), ["a:none"])
    assert.deepStrictEqual(selected(index, "M"), ["c:message"])
    assert.deepStrictEqual(selected(index, "U", "nope", "nope"), ["c:message", "a:none"])
  })

  it("answers for schema events, and for no other table of ours", () => {
    const index = new DefinitionIndex([row("all", "a"), row("log", "b", "pgstream", "schema_log", ["I"]), row("own", "c", "pgstream", "checkpoint")])
    assert.deepStrictEqual(selected(index, "I", "pgstream", "schema_log"), ["b:log", "a:all"])
    assert.deepStrictEqual(selected(index, "I", "pgstream", "table_ids"), ["a:all"])
    for (const table of ["checkpoint", "webhook_deliveries", "webhook_endpoint_secrets", "ddl"]) assert.deepStrictEqual(selected(index, "I", "pgstream", table), [])
  })

  it("follows rows that change, move and go", () => {
    const index = new DefinitionIndex([row("x", "a", "public", "t")])
    assert.deepStrictEqual(selected(index, "I", "public", "t"), ["a:x"])
    index.put(row("y", "b"))
    assert.deepStrictEqual(selected(index, "I", "public", "t"), ["a:x", "b:y"])
    index.put(row("x", "a", "public", "u", ["D"]))
    assert.deepStrictEqual(selected(index, "I", "public", "t"), ["b:y"])
    assert.deepStrictEqual(selected(index, "D", "public", "u"), ["a:x", "b:y"])
    assert.isTrue(index.remove("y"))
    assert.isFalse(index.remove("y"))
    assert.deepStrictEqual(selected(index, "D", "public", "t"), [])
    assert.deepStrictEqual(index.current().map((r) => r.id), ["x"])
  })

  it("forgets what a message selects when that row goes", () => {
    const index = new DefinitionIndex([row("m", "a", "", "", ["M"])])
    assert.deepStrictEqual(selected(index, "M"), ["a:m"])
    index.remove("m")
    assert.deepStrictEqual(selected(index, "M"), [])
  })

  it("costs the same whatever the number of rows: answers are shared, and others' rows are not looked at", () => {
    let looks = 0
    const watched = (id: string, schema: string, table: string): Subscription => {
      const plain = row(id, `e-${id}`, schema, table)
      return { ...plain, get eventTypes() {
        looks++
        return plain.eventTypes
      } }
    }
    const rows = Array.from({ length: 10_000 }, (_, i) => watched(`r${i}`, "public", `t${i}`))
    const index = new DefinitionIndex(rows)
    looks = 0
    const first = index.select(change("I", "public", "t5"))
    assert.strictEqual(first.length, 1)
    assert.strictEqual(looks, 1)
    for (let i = 0; i < 1000; i++) {
      assert.strictEqual(index.select(change("I", "public", "t5")), first)
      index.select(change("I", "public", "t6"))
    }
    assert.strictEqual(looks, 2)
  })

  it("a change of one table's row leaves the answers of other tables as they are", () => {
    const index = new DefinitionIndex([row("x", "a", "public", "t"), row("y", "b", "public", "u")])
    const before = index.select(change("I", "public", "t"))
    index.put(row("z", "c", "public", "u"))
    assert.strictEqual(index.select(change("I", "public", "t")), before)
  })
})

describe("difference", () => {
  it("turns one set of rows into the other, touching only what differs", () => {
    const [a, b, c] = [row("a", "1"), row("b", "2"), row("c", "3")]
    const index = new DefinitionIndex([a, b])
    const rows = difference(index, [{ ...a }, c])
    assert.deepStrictEqual([...rows], [["c", c], ["b", undefined]])
    apply(index, rows)
    assert.deepStrictEqual(index.current(), [a, c])
    assert.strictEqual(difference(index, [{ ...a, eventTypes: ["I"] }, c]).size, 1)
  })
})

describe("text forms of a subscription row", () => {
  it("reads text[]", () => {
    assert.deepStrictEqual(parseTextArray("{}"), [])
    assert.deepStrictEqual(parseTextArray("{I,U}"), ["I", "U"])
    assert.deepStrictEqual(parseTextArray(`{"a,b","c\\"d\\\\",NULL,"NULL"}`), ["a,b", `c"d\\`, "", "NULL"])
  })
  it("reads timestamptz in any zone to the microsecond", () => {
    const utc = Date.UTC(2026, 10, 24, 0, 12, 21) * 1000 + 229_440
    assert.strictEqual(parseTimestampUs("2026-11-24 00:12:21.22944+00"), utc)
    assert.strictEqual(parseTimestampUs("2026-11-24 05:42:21.22944+05:30"), utc)
    assert.strictEqual(parseTimestampUs("2026-11-23 21:12:21.22944-03"), utc)
    assert.strictEqual(parseTimestampUs("infinity"), 0)
  })
})

describe("order of parked deliveries", () => {
  const at = (commitLsn: number, ordinal: number, id: string, bytes = 1) => ({ endpointId: "e", id, commitLsn, ordinal, body: new Uint8Array(bytes) })
  it("is that of the stream, and a page does not end inside a place", () => {
    const rows = [at(2, 0, "c"), at(1, 9, "b"), at(1, 10, "x"), at(2, 0, "d"), at(2, 1, "a")].toSorted(inStreamOrder)
    assert.deepStrictEqual(rows.map((r) => r.id), ["b", "x", "c", "d", "a"])
    assert.deepStrictEqual([1, 2, 3, 4, 5].map((limit) => endOfPage(rows, limit)), [1, 2, 4, 4, 5])
  })
  it("ends a page at the body that passes the bytes, never empty", () => {
    const rows = [at(1, 0, "a", 10), at(2, 0, "b", 10), at(3, 0, "c", 10)]
    assert.deepStrictEqual([1, 10, 15, 25].map((bytes) => endOfPage(rows, 3, bytes)), [1, 2, 2, 3])
  })
})
