/** The pure parts of a copy: marks, snapshots, who is touched, ranges, sizes. */
import { assert, describe, it } from "@effect/vitest"
import type { Change, Column, Relation, Row, Transaction } from "../../../src/domain/Change.ts"
import { NULL, UNCHANGED } from "../../../src/domain/Change.ts"
import { ChunkSize, MAX_ROWS } from "../../../src/domain/copy/ChunkSize.ts"
import { after, type CopyState } from "../../../src/domain/copy/Copy.ts"
import * as CopyKey from "../../../src/domain/copy/CopyKey.ts"
import * as CopyRules from "../../../src/domain/copy/CopyRules.ts"
import { Delivered } from "../../../src/domain/copy/Delivered.ts"
import * as Mark from "../../../src/domain/copy/Mark.ts"
import { Ranges } from "../../../src/domain/copy/Ranges.ts"
import * as SnapshotText from "../../../src/domain/copy/SnapshotText.ts"
import { type Takes, TableWatch } from "../../../src/domain/copy/TableWatch.ts"
import { keyDefinition } from "../../../src/domain/Identity.ts"

const columns: ReadonlyArray<Column> = ["k", "v"].map((name, i) =>
  ({ name, typeOid: 25, typmod: -1, typeName: "text", valueClass: 0, key: i === 0 }))
const relation: Relation = { oid: 5, schema: "public", table: "t", replicaIdentity: "d", columns }
const definition = keyDefinition(relation, undefined)
const transaction: Transaction = { commitLsn: 1, commitTimeUs: 0, timestamp: "", xid: 1, idPrefix: "" }

const rowOf = (values: ReadonlyArray<string | null | undefined>): Row => {
  const bytes = Buffer.from(values.map((value) => value ?? "").join(""))
  const spans = new Int32Array(values.length * 2)
  let at = 0
  values.forEach((value, i) => {
    spans[2 * i] = value === null ? NULL : value === undefined ? UNCHANGED : at
    at += (value ?? "").length
    spans[2 * i + 1] = at
  })
  return { columns, bytes, spans }
}

type Values = ReadonlyArray<string | null | undefined>
const change = (kind: Change["kind"], now?: Values, old?: Values, of: Relation = relation): Change => ({
  _tag: "Change", kind, transaction, ordinal: 0, sub: -1, lsn: 1, relation: of, oldKind: old === undefined ? "" : "K",
  newRow: () => (now === undefined ? undefined : rowOf(now)), oldRow: () => (old === undefined ? undefined : rowOf(old)),
  message: undefined, byteLength: 1, shape: undefined, metadata: undefined, affects: undefined
})
const key = (value: string) => CopyKey.keyOf([value])
const watch = (takes: Takes = { inserts: true, updates: true }, rules = CopyRules.all) =>
  new TableWatch(definition.names, definition.hash, takes, rules)

describe("TableWatch", () => {
  it("a row stays out when an event touched its key between the marks, not before or after", () => {
    const table = watch()
    table.event(change("U", ["before", "1"]))
    const window = table.open()
    table.event(change("U", ["inside", "1"]))
    table.event(change("D", undefined, ["gone", null]))
    table.event(change("U", ["new", "1"], ["old", null]))
    assert.deepStrictEqual(["before", "inside", "gone", "old", "new", "other"].map((k) => table.enters(window, key(k))),
      [true, false, false, false, false, true])
    table.close(window)
    assert.strictEqual(table.pending.size, 0)
    assert.isTrue(table.enters(table.open(), key("inside")))
  })

  it("windows that overlap are each judged by their own low mark", () => {
    const table = watch()
    const first = table.open()
    table.event(change("U", ["a", "1"]))
    const second = table.open()
    assert.deepStrictEqual([table.enters(first, key("a")), table.enters(second, key("a"))], [false, true])
    table.close(first)
    table.event(change("U", ["b", "1"]))
    assert.isFalse(table.enters(second, key("b")))
  })

  it("what an event did not tell is read again, until a later event tells it or the row enters", () => {
    const table = watch()
    const window = table.open()
    for (const k of ["a", "b", "c"]) table.event(change("U", [k, undefined]))
    table.event(change("U", ["b", "all"]))
    for (const k of ["a", "b", "c"]) assert.isFalse(table.enters(window, key(k)))
    assert.deepStrictEqual([...table.pending], [key("a"), key("c")])
    table.event(change("D", undefined, ["a", null]))
    assert.deepStrictEqual([...table.pending], [key("c")])
    assert.isTrue(table.enters(table.open(), key("c")))
    assert.strictEqual(table.pending.size, 0)
  })

  it("a changed key with an unchanged value is read again, also outside of windows; the old one is not", () => {
    const table = watch()
    table.event(change("U", ["new", undefined], ["old", null]))
    assert.deepStrictEqual([...table.pending], [key("new")])
    table.event(change("U", ["newer", undefined], ["new", null]))
    assert.deepStrictEqual([...table.pending], [key("newer")])
    table.event(change("U", ["same", undefined]))
    assert.deepStrictEqual([...table.pending], [key("newer")])
    const without = watch(undefined, CopyRules.without("readMovedAgain"))
    without.event(change("U", ["new", undefined], ["old", null]))
    assert.strictEqual(without.pending.size, 0)
  })

  it("for who takes no updates, or no inserts, these tell nothing", () => {
    const inserts = watch({ inserts: true, updates: false })
    const window = inserts.open()
    inserts.event(change("U", ["a", "1"]))
    inserts.event(change("I", ["b", "1"]))
    inserts.event(change("U", ["moved", "1"], ["c", null]))
    assert.deepStrictEqual([inserts.enters(window, key("a")), inserts.enters(window, key("b"))], [false, false])
    assert.deepStrictEqual([...inserts.pending], [key("moved"), key("a")])
    const updates = watch({ inserts: false, updates: true })
    updates.open()
    updates.event(change("I", ["b", "1"]))
    assert.deepStrictEqual([...updates.pending], [key("b")])
  })

  it("a TRUNCATE, and a key by another definition, make the windows void", () => {
    for (const event of [change("T"), change("I", ["1", "1"], undefined, { ...relation, columns: columns.map((c) => ({ ...c, key: c.name === "v" })) })]) {
      const table = watch()
      const window = table.open()
      table.event(event)
      assert.isTrue(window.void)
      assert.isFalse(table.open().void)
    }
  })

  it("keys with the same text in other columns differ", () => {
    assert.notStrictEqual(CopyKey.keyOf(["a", "bc"]), CopyKey.keyOf(["ab", "c"]))
    assert.deepStrictEqual(CopyKey.valuesOf(CopyKey.keyOf(["a\"", "\u0001"])), ["a\"", "\u0001"])
  })
})

describe("Delivered", () => {
  const snapshot = (text: string) => SnapshotText.parse(text)!

  it("a snapshot is too old while it does not see what came before the mark", () => {
    const delivered = new Delivered()
    for (const xid of [100, 101, 102]) delivered.add(xid)
    const { order } = delivered
    delivered.add(103)
    assert.isTrue(delivered.unseen(snapshot("101:102:101"), order))
    assert.strictEqual(delivered.size, 3)
    assert.isTrue(delivered.unseen(snapshot("101:104:101,103"), order))
    assert.isFalse(delivered.unseen(snapshot("103:104:103"), order))
    assert.strictEqual(delivered.size, 1)
    assert.isTrue(delivered.unseen(snapshot("103:104:103"), delivered.order))
    assert.isFalse(delivered.unseen(snapshot("104:104:"), delivered.order))
    assert.strictEqual(delivered.size, 0)
  })

  it("counts what committed before the start, and transactions without an id", () => {
    const delivered = new Delivered()
    delivered.addBefore([7])
    delivered.add(0)
    assert.isTrue(delivered.unseen(snapshot("7:9:7"), 0))
    assert.isFalse(delivered.unseen(snapshot("9:9:"), 1))
  })

  it("compares around the circle", () => {
    const far = snapshot("4294967290:4294967302:4294967291")
    assert.isTrue(SnapshotText.sees(far, 4294967292))
    assert.isTrue(SnapshotText.sees(far, 5))
    assert.isFalse(SnapshotText.sees(far, 6))
    assert.isFalse(SnapshotText.sees(far, 4294967291))
    assert.deepStrictEqual(["", "1:2", "1:2:a", "1:2:3,"].map(SnapshotText.parse), [undefined, undefined, undefined, undefined])
  })
})

describe("Ranges", () => {
  it("is settled through the first range that is not, whatever the order of the others", () => {
    const ranges = new Ranges(undefined)
    for (const to of [["10"], ["20"], ["30"]]) ranges.plan(to, 10)
    ranges.plan(undefined, 10)
    const [a, b, c, d] = [ranges.take()!, ranges.take()!, ranges.take()!, ranges.take()!]
    assert.deepStrictEqual([a.from, a.to, d.from, d.to, ranges.take()], [undefined, ["10"], ["30"], undefined, undefined])
    ranges.settle(b)
    ranges.settle(d)
    assert.isUndefined(ranges.through)
    ranges.settle(a)
    assert.deepStrictEqual([ranges.through, ranges.done], [["20"], false])
    ranges.settle(c)
    assert.deepStrictEqual([ranges.through, ranges.done], [undefined, true])
  })

  it("a range that is cut leaves its rest for somebody else, and nothing out", () => {
    const ranges = new Ranges(["5"])
    ranges.plan(["50"], 10)
    ranges.plan(undefined, 10)
    const first = ranges.take()!
    ranges.cut(first, ["20"], 4)
    assert.strictEqual(first.rows, 4)
    const rest = ranges.take()!
    assert.deepStrictEqual([first, rest].map(({ from, to }) => [from, to]), [[["5"], ["20"]], [["20"], ["50"]]])
    ranges.settle(rest)
    assert.deepStrictEqual(ranges.through, ["5"])
    ranges.giveBack(first)
    ranges.settle(ranges.take()!)
    assert.deepStrictEqual([ranges.through, ranges.done], [["50"], false])
  })
})

describe("ChunkSize", () => {
  it("follows bytes and time, grows by steps, and shrinks down to one row", () => {
    const size = new ChunkSize(1_000_000)
    const first = size.rows
    size.read(256, 256 * 100, 1)
    assert.strictEqual(size.rows, first * 4)
    size.read(1000, 10_000_000, 1)
    assert.strictEqual(size.rows, 100)
    size.read(100, 100, 10_000)
    assert.strictEqual(size.rows, 10)
    assert.isTrue(size.tooLong())
    assert.deepStrictEqual([size.rows, size.tooLong()], [1, false])
    for (let i = 0; i < 30; i++) size.read(100, 1, 0)
    assert.strictEqual(size.rows, MAX_ROWS)
  })
})

describe("marks and states", () => {
  it("a mark is told from other messages of the prefix, and ends without a copier", () => {
    const message = (prefix: string, text: string): Change => {
      const bytes = Buffer.from(text)
      return { ...change("M"), relation: undefined, message: { prefix, transactional: true, bytes, start: 0, end: bytes.length } }
    }
    assert.isTrue(Mark.isMark(Buffer.from("copy:abc"), 0, 8))
    assert.isFalse(Mark.isMark(Buffer.from("heartbeat"), 0, 9))
    assert.isFalse(Mark.isMark(Buffer.from("copy"), 0, 4))
    assert.strictEqual(Mark.idOf(message("pgstream", Mark.textOf("abc"))), "abc")
    assert.isUndefined(Mark.idOf(message("other", Mark.textOf("abc"))))
    assert.isUndefined(Mark.idOf(change("I", ["a", "b"])))
    const kept = change("I", ["a", "b"])
    assert.deepStrictEqual(Mark.dropped({ items: [message("pgstream", "copy:x"), kept], bytes: 2 }).items, [kept])
  })

  it("says what a wish makes of a state", () => {
    const states: ReadonlyArray<CopyState> = ["requested", "running", "paused", "done", "failed", "cancelled"]
    assert.deepStrictEqual(states.map((state) => after(state, "pause")), ["paused", "paused", "paused", undefined, undefined, undefined])
    assert.deepStrictEqual(states.map((state) => after(state, "resume")), ["requested", "running", "requested", undefined, undefined, undefined])
    assert.deepStrictEqual(states.map((state) => after(state, "cancel")), ["cancelled", "cancelled", "cancelled", undefined, undefined, undefined])
  })
})
