/** Where rows enter a chunk, who sees which events, when what entered is settled; and to whom it goes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Change, Column, Relation, Row, Transaction } from "../../../src/domain/Change.ts"
import type { Commit, Item } from "../../../src/domain/Chunk.ts"
import { CopiedRow } from "../../../src/domain/copy/CopiedRow.ts"
import * as CopyRules from "../../../src/domain/copy/CopyRules.ts"
import * as Mark from "../../../src/domain/copy/Mark.ts"
import { TableWatch } from "../../../src/domain/copy/TableWatch.ts"
import * as EventId from "../../../src/domain/EventId.ts"
import { keyDefinition } from "../../../src/domain/Identity.ts"
import type { Subscription } from "../../../src/domain/Subscription.ts"
import { Heads } from "../../../src/layers/http/RequestHead.ts"
import { CopiedSelection } from "../../../src/layers/pipeline/notifier/CopiedSelection.ts"
import { SnapshotterBudget } from "../../../src/layers/pipeline/SnapshotterBudget.ts"
import { SnapshotterStage } from "../../../src/layers/pipeline/SnapshotterStage.ts"
import * as SubscriptionCache from "../../../src/layers/pipeline/SubscriptionCache.ts"
import type { ShapesInForce } from "../../../src/services/TableShapes.ts"

const columns: ReadonlyArray<Column> = [{ name: "id", typeOid: 23, typmod: -1, typeName: "integer", valueClass: 1, key: true }]
const relation: Relation = { oid: 7, schema: "public", table: "t", replicaIdentity: "d", columns }
const rowOf = (id: string): Row => ({ columns, bytes: Buffer.from(id), spans: Int32Array.of(0, id.length) })
const at = (lsn: number, xid = lsn): Transaction => ({ commitLsn: lsn, commitTimeUs: 1, timestamp: "then", xid, idPrefix: `${lsn}-` })
const change = (kind: "I" | "M", transaction: Transaction, id: string, message?: Change["message"]): Change => ({
  _tag: "Change", kind, transaction, ordinal: 0, sub: -1, lsn: transaction.commitLsn, relation: kind === "M" ? undefined : relation, oldKind: "",
  newRow: () => (kind === "M" ? undefined : rowOf(id)), oldRow: () => undefined, message, byteLength: 10, shape: undefined, metadata: undefined, affects: undefined
})
const insert = (lsn: number, id: string) => change("I", at(lsn), id)
const markOf = (lsn: number, id: string) => {
  const bytes = Buffer.from(Mark.textOf(id))
  return change("M", at(lsn), "", { prefix: "pgstream", transactional: true, bytes, start: 0, end: bytes.length })
}
const commit = (lsn: number): Commit => ({ _tag: "Commit", transaction: at(lsn), endLsn: lsn + 1, shapes: undefined, definitions: undefined })

/** Notes what passes it, piece by piece. */
const shapes = () => {
  const pieces: Array<ReadonlyArray<Item>> = []
  const inForce: ShapesInForce = {
    advance: (chunk) => Effect.sync(() => {
      pieces.push(chunk.items)
      return chunk
    }),
    shapeOf: () => undefined,
    versionOf: () => undefined
  }
  return { inForce, pieces }
}
const ids = (items: ReadonlyArray<Item>) => items.map((item) => item._tag === "Change" ? `${item.copy === undefined ? "" : "copied "}${item.newRow()?.bytes.toString()}` : item._tag)

describe("SnapshotterStage", () => {
  it.effect("rows enter where the mark was, after what came before it and before what comes after", () =>
    Effect.gen(function*() {
      const { inForce, pieces } = shapes()
      const stage = new SnapshotterStage(inForce)
      const settled: Array<string> = []
      stage.expect("high", (place, settle) => {
        settle(() => void settled.push("high"))
        return ["5", "6"].map((id, i) => new CopiedRow(place, i + 1, relation, rowOf(id), { id: `s-${id}`, subscription: undefined }))
      })
      const items = [insert(1, "1"), commit(1), markOf(2, "unknown"), markOf(3, "high"), insert(3, "2"), commit(3), insert(4, "3")]
      const chunk = yield* stage.advance({ items, bytes: 70 })
      assert.deepStrictEqual(ids(chunk.items), ["1", "Commit", "copied 5", "copied 6", "2", "Commit", "3"])
      assert.deepStrictEqual(pieces.map(ids), [["1", "Commit"], ["copied 5", "copied 6"], ["2", "Commit", "3"]])
      assert.isAbove(chunk.bytes, 70 + 2)
      const [first] = chunk.items.filter((item) => item._tag === "Change" && item.copy !== undefined) as ReadonlyArray<Change>
      assert.deepStrictEqual([EventId.of(first!), first!.transaction.timestamp, first!.lsn], ["s-5", "then", 3])
      stage.settle(3)
      assert.deepStrictEqual(settled, [])
      stage.settle(4)
      assert.deepStrictEqual(settled, ["high"])
      assert.strictEqual(stage.delivered.size, 2)
    }))

  it.effect("a watcher sees the events between the marks only of its table, and no copied row", () =>
    Effect.gen(function*() {
      const { inForce } = shapes()
      const stage = new SnapshotterStage(inForce)
      const { hash, names } = keyDefinition(relation, undefined)
      const watch = new TableWatch(names, hash, { inserts: true, updates: true }, CopyRules.all)
      stage.watch(7, watch)
      const entered: Array<string> = []
      let window = watch.open()
      watch.close(window)
      stage.expect("low", () => {
        window = watch.open()
        return []
      })
      stage.expect("high", (place) => {
        for (const id of ["1", "2", "3", "4"]) if (watch.enters(window, JSON.stringify([id]))) entered.push(id)
        return [new CopiedRow(place, 1, relation, rowOf("4"), { id: "s-4", subscription: undefined })]
      })
      yield* stage.advance({ items: [insert(1, "1"), markOf(2, "low"), insert(2, "2")], bytes: 0 })
      yield* stage.advance({ items: [{ ...insert(3, "3"), relation: { ...relation, oid: 8 } }, markOf(4, "high"), insert(5, "1")], bytes: 0 })
      assert.deepStrictEqual(entered, ["1", "3", "4"])
    }))

  it.effect("a table of which only the name is known, and what cannot be decoded, disturb every window", () =>
    Effect.gen(function*() {
      const { inForce } = shapes()
      const stage = new SnapshotterStage(inForce)
      const { hash, names } = keyDefinition(relation, undefined)
      const watch = new TableWatch(names, hash, { inserts: true, updates: true }, CopyRules.all)
      stage.watch(7, watch)
      const first = watch.open()
      yield* stage.advance({ items: [{ ...insert(1, "1"), relation: { ...relation, oid: 0 } }], bytes: 0 })
      const second = watch.open()
      assert.deepStrictEqual([first.void, second.void], [true, false])
      yield* stage.advance({ items: [{ _tag: "Undecodable", transaction: at(2), ordinal: 0, lsn: 2, reason: "", table: undefined }], bytes: 0 })
      assert.isTrue(second.void)
    }))
})

describe("who is sent a copied row", () => {
  const subscription = (id: string, change: Partial<Subscription> = {}): Subscription =>
    ({ id, endpointId: `e-${id}`, url: `http://${id}/`, schema: "", table: "", eventTypes: [], createdAtUs: 0, ...change })
  const rows = [subscription("all"), subscription("updates", { eventTypes: ["U"] }), subscription("other", { table: "x" })]
  const selection = new CopiedSelection(SubscriptionCache.make(rows, () => {}))
  const copied = (asked: string | undefined) =>
    selection.select(new CopiedRow({ transaction: at(1), ordinal: 0, lsn: 1 }, 1, relation, rowOf("1"), { id: "s-1", subscription: asked })).map(({ endpointId }) => endpointId)

  it("those that take inserts, or the one that asked, if it takes the table", () => {
    assert.deepStrictEqual([copied(undefined), copied("updates"), copied("other"), copied("gone")], [["e-all"], ["e-updates"], [], []])
  })

  it("with a header of its own, and no number", () => {
    const request = { endpointId: "e", epoch: "", id: "s-1", sequence: 0, body: new Uint8Array(0) }
    assert.match(new Heads().of(request, "1", 0, "")!, /\r\nwebhook-snapshot: true\r\n/)
    assert.notMatch(new Heads().of(request, "1", 0, "")!, /webhook-sequence/)
    assert.notMatch(new Heads().of({ ...request, id: "0-0-0", sequence: 1 }, "1", 0, "")!, /webhook-snapshot/)
  })
})

it("what is not settled holds the next range; what is larger than all goes alone", () => {
  let held = false
  const budget = new SnapshotterBudget(10, () => held)
  const run = (bytes: number) => Effect.runFork(budget.take(bytes))
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0))
  return (async () => {
    const [first, second] = [run(8), run(8)]
    await settle()
    assert.deepStrictEqual([first.pollUnsafe() !== undefined, second.pollUnsafe() !== undefined], [true, false])
    budget.give(8)
    await settle()
    assert.isDefined(second.pollUnsafe())
    budget.give(8)
    const large = run(1_000)
    await settle()
    assert.isDefined(large.pollUnsafe())
    budget.give(1_000)
    held = true
    const behind = run(1)
    await settle()
    assert.isUndefined(behind.pollUnsafe())
    behind.interruptUnsafe()
  })()
})
