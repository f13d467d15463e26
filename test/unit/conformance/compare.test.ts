/** What the comparison lets pass, and what it does not: a conformance run that cannot fail proves nothing. */
import { assert, describe, it } from "vitest"
import { compare } from "../../../conformance/Compare.ts"
import * as Facts from "../../../conformance/Facts.ts"
import { ofBody, ofGolden } from "../../../conformance/Payload.ts"
import type { Context, InjectorSetting, Plugin, Rule } from "../../../conformance/Rule.ts"

const column = (name: string, value: unknown, id = "") => ({ id, name, type: "integer", value })
const none = { schema_id: null, table_pgstream_id: "", id_col_pgstream_id: null, version_col_pgstream_id: "" }
const event = (lsn: string, more: object = {}) => ({
  action: "I", timestamp: "T", lsn, schema: "public", table: "t", columns: [column("id", 1)], identity: null, metadata: none, ...more
})
const idOf = (n: number) => `dc2m9h9jqt02fpjni1${String(n).padStart(2, "0")}`
const entry = (lsn: string, id: string, version: number, schema = "public") =>
  event(lsn, {
    schema: "pgstream", table: "schema_log",
    columns: [column("id", id), column("version", version), column("schema_name", schema), column("schema", `{"tables": null}`)]
  })

interface Given {
  readonly plugin?: Plugin
  readonly injector?: InjectorSetting
  readonly rows?: ReadonlyArray<object>
  readonly rules?: ReadonlyArray<Rule>
}
const row = { tag: "", schemas: null, dropped: null, tables: null, made_full: null }

const verdict = (golden: ReadonlyArray<object>, ours: ReadonlyArray<object>, given: Given = {}) => {
  const context: Context = {
    plugin: given.plugin ?? "wal2json", injector: given.injector ?? "off",
    facts: Facts.ofRows(JSON.stringify((given.rows ?? []).map((one) => ({ ...row, ...one }))), 15),
    expected: golden.map((Data) => ofGolden(JSON.stringify({ Data }))),
    got: ours.map((Data) => ofBody(JSON.stringify({ Data })))
  }
  const { clashes, differences, used } = compare(context, given.rules)
  return { clashes, differences: differences.length, used: [...used] }
}
const equal = { clashes: [], differences: 0, used: [] }

describe("what is compared", () => {
  it("positions, ids and oids by what they stand for", () => {
    assert.deepStrictEqual(verdict([event("L1"), event("L2")], [event("0/1A"), event("0/2B")]), equal)
  })

  it("an event too few, one too many, another order, another value", () => {
    const [a, b] = [event("L1"), event("L2", { columns: [column("id", 2)] })]
    const [x, y] = [event("0/1"), event("0/2", { columns: [column("id", 2)] })]
    assert.strictEqual(verdict([a, b], [x]).differences, 1)
    assert.strictEqual(verdict([a, b], [x, x, y]).differences, 1)
    assert.strictEqual(verdict([a, b], [y, x]).differences, 2)
    assert.strictEqual(verdict([a], [event("0/1", { columns: [column("id", 9)] })]).differences, 1)
    assert.strictEqual(verdict([a], [event("0/1", { columns: [column("id", "1")] })]).differences, 1)
    assert.strictEqual(verdict([a], [event("0/1", { columns: [{ name: "id", id: "", type: "integer", value: 1 }] })]).differences, 1, "key order")
  })

  it("positions that are one on one side and two on the other", () => {
    assert.lengthOf(verdict([event("L1"), event("L1")], [event("0/1"), event("0/2")]).clashes, 1)
    assert.lengthOf(verdict([event("L1"), event("L2")], [event("0/1"), event("0/1")]).clashes, 1)
  })

  it("takes the end of a page of WAL and the place behind the next one's header for one", () => {
    for (const [end, next] of [["0/DDC6000", "0/DDC6018"], ["1/2000000", "1/2000028"]] as const) {
      assert.deepStrictEqual(verdict([event("L1"), event("L1")], [event(end), event(next)]), equal)
    }
    assert.lengthOf(verdict([event("L1"), event("L1")], [event("0/DDC6000"), event("0/DDC6020")]).clashes, 1)
  })

  it("versions of the schema log", () => {
    assert.deepStrictEqual(verdict([entry("L1", "X1", 1)], [entry("0/1", idOf(1), 1)]), equal)
    assert.lengthOf(verdict([entry("L1", "X1", 1)], [entry("0/1", idOf(1), 2)]).clashes, 1)
  })

  it("an id in the place of the empty form", () => {
    const known = { ...none, schema_id: idOf(1), table_pgstream_id: idOf(2) }
    assert.strictEqual(verdict([event("L1")], [event("0/1", { metadata: known })]).differences, 1)
  })
})

describe("rules", () => {
  const update = { action: "U", columns: [column("id", 2)], identity: [column("id", 1)] }

  it("take a U with the whole old row only where the table lacked an identity", () => {
    const table = { oid: "7", schema: "public", name: "t", kind: "r", indexes: null, columns: [[1, "id", 23, -1, "integer", false, null, "", "", null]] }
    const lacking = { tables: [table], made_full: { 7: "d" } }
    assert.deepStrictEqual(verdict([], [event("0/1", update)], { rows: [lacking] }), { ...equal, used: ["rows-without-an-identity-are-delivered"] })
    assert.strictEqual(verdict([], [event("0/1", update)], { rows: [{ tables: [table] }] }).differences, 1)
    assert.strictEqual(verdict([], [event("0/1", { ...update, identity: [] })], { rows: [lacking] }).differences, 1)
    assert.strictEqual(verdict([], [event("0/1")], { rows: [lacking] }).differences, 1, "an I is not taken")
  })

  it("take the end of the list only if golden died of poison there", () => {
    const poison = event("0/2", { columns: [{ ...column("n", 1), type: `"S"."T"` }] })
    const tail = [event("0/1"), poison, event("0/3")]
    assert.deepStrictEqual(verdict([event("L1")], tail), { ...equal, used: ["no-poison"] })
    assert.strictEqual(verdict([event("L1")], [event("0/1"), event("0/2"), event("0/3")]).differences, 2)
    assert.strictEqual(verdict([], [poison, event("0/3")]).differences, 0)
    assert.isAbove(verdict([event("L1"), event("L2", { columns: [column("id", 5)] })], [event("0/1"), poison]).differences, 0)
  })

  it("take an entry back with what follows from it, and no other", () => {
    const both = { dropped: [["table", "1", "a", "x"], ["table", "2", "b", "y"]] }
    const golden = [entry("L1", "X1", 1, "b"), entry("L2", "X2", 2, "b")]
    const ours = [entry("0/1", idOf(1), 1, "b"), entry("0/2", idOf(2), 2, "b"), entry("0/3", idOf(3), 3, "b")]
    assert.deepStrictEqual(verdict(golden, ours, { rows: [both] }), { ...equal, used: ["each-schema-of-a-drop-is-logged"] })
    assert.strictEqual(verdict(golden, ours).differences, 1)
  })

  it("take another value only where ours is the time of the run", () => {
    const at = (value: string, type = "timestamp with time zone") => ({ columns: [{ ...column("at", value), type }] })
    const now = `${new Date().toISOString().slice(0, 23).replace("T", " ")}+00`
    const golden = event("L1", at("2026-11-24 00:12:21.22944+00"))
    assert.deepStrictEqual(verdict([golden], [event("0/1", at(now))]), { ...equal, used: ["the-moment-is-another"] })
    assert.strictEqual(verdict([golden], [event("0/1", at("2020-01-01 00:00:00.5+00"))]).differences, 1)
    assert.strictEqual(verdict([event("L1", at("2026-11-24 00:12:21.5", "text"))], [event("0/1", at(now, "text"))]).differences, 1)
  })

  it("let ids of one statement come in another order, not those of two", () => {
    const announced = (lsn: string, id: string) =>
      event(lsn, { schema: "pgstream", table: "table_ids", columns: [column("id", id), column("oid", 1)] })
    const table = (name: string, id: string) => ({ oid: 1, name, columns: [], pgstream_id: id, primary_key_columns: [] })
    const both = (lsn: string, id: string, e: string, f: string) => {
      const made = entry(lsn, id, 1)
      return { ...made, columns: made.columns.map((c) => c.name === "schema" ? { ...c, value: JSON.stringify({ tables: [table("e", e), table("f", f)] }) } : c) }
    }
    const ours = [announced("0/1", idOf(1)), announced("0/2", idOf(2)), both("0/3", idOf(3), idOf(1), idOf(2))]
    const golden = [announced("L1", "X2"), announced("L2", "X1"), both("L3", "X3", "X1", "X2")]
    assert.deepStrictEqual(verdict(golden, ours), { ...equal, used: ["ids-come-in-order"] })
    assert.isAbove(verdict(golden, ours, { rules: [] }).clashes.length, 0)
  })

  it("are read: one that is taken back leaves its difference", () => {
    const message = event("0/1", { action: "M", schema: "", table: "", columns: null, prefix: "p", content: "c" })
    const golden = event("L1", { action: "M", schema: "", table: "", columns: null })
    assert.deepStrictEqual(verdict([golden], [message]), { ...equal, used: ["messages-have-prefix-and-content"] })
    assert.strictEqual(verdict([golden], [message], { rules: [] }).differences, 1)
  })
})
