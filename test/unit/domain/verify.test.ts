import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Ranges from "../../../src/domain/Ranges.ts"
import { SeenNumbers } from "../../../src/domain/SeenNumbers.ts"
import * as Verify from "../../../src/domain/Verify.ts"
import { fromNumbers } from "../../support/numbers.ts"

const small = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 40 })))
const numbers = Schema.Array(small)
const seenOf = (list: Iterable<number>) => {
  const seen = new SeenNumbers()
  for (const n of list) seen.add(n)
  return seen
}
const noIds: ReadonlyMap<string, number> = new Map()
const known = (given: number, accounts: Verify.Known["accounts"] = {}): Verify.Known => ({
  endpointId: "e", epoch: "a", given, accounts, accepted: []
})

describe("the balance of an endpoint", () => {
  const inputs = { given: small, waiting: numbers, dead: numbers, suspended: numbers, withdrawn: numbers, purged: numbers }
  it.effect.prop("has each number given in one place", inputs, ({ given, ...lists }) =>
    Effect.sync(() => {
      const accounts = Object.fromEntries(Object.entries(lists).map(([state, list]) => [state, fromNumbers(list)]))
      const found = Verify.balance({ given, accounts })
      const parts = [found.delivered, ...Verify.states.map((state) => found.accounts[state])]
      assert.strictEqual(parts.reduce((sum, part) => sum + Ranges.size(part), 0), given)
      assert.deepStrictEqual(parts.reduce((a, b) => Ranges.fromRanges([...a, ...b])), Ranges.between(1, given))
      for (let n = 1; n <= given; n++) {
        const state = Verify.states.find((each) => lists[each].includes(n))
        assert.isTrue(Ranges.has(state === undefined ? found.delivered : found.accounts[state], n))
      }
    }), { arbitrary: { runs: 300 } })

  it.effect.prop("a receiver's list shows exactly what it lacks", { given: small, dead: numbers, received: numbers }, ({ dead, given, received }) =>
    Effect.sync(() => {
      const found = Verify.compare(known(given, { dead: fromNumbers(dead) }), { numbers: seenOf(received), ids: noIds })
      const expected = Array.from({ length: given }, (_, i) => i + 1).filter((n) => !dead.includes(n) && !received.includes(n))
      assert.deepStrictEqual(found.missing, fromNumbers(expected))
      assert.strictEqual(Verify.isMissing(found), expected.length > 0)
      assert.deepStrictEqual(found.unsettled, fromNumbers(received.filter((n) => n > given)))
      assert.deepStrictEqual(found.anyway, fromNumbers(received.filter((n) => n <= given && dead.includes(n))))
    }), { arbitrary: { runs: 300 } })

  it("a list of numbers with a few ids proves nothing by these", () => {
    const some = { numbers: seenOf([1, 2, 3, 5]), ids: new Map([["0000000001a2b3c4-2f0-5", 1]]) }
    const found = Verify.compare(known(5), some)
    assert.deepStrictEqual([found.missing, Ranges.format(found.unproven), found.fewer, found.exact], [Ranges.empty, "4", 0, false])
    assert.isTrue(Verify.isMissing(found))
    const whole = Verify.compare(known(5), { ...some, numbers: seenOf([1, 2, 3, 4, 5]) })
    assert.isFalse(Verify.isMissing(whole))
    const fewer = Verify.compare(known(7), some)
    assert.deepStrictEqual([Ranges.format(fewer.unproven), fewer.fewer], ["4, 6-7", 2])
  })

  it("ids alone: what the log knows by name, and how many fewer there are", () => {
    const replayed = { id: "id-2", sequence: 2 }
    const accepted = [replayed, { id: "id-3", sequence: 3 }, replayed, { id: "s-1", sequence: 0 }]
    const found = Verify.compare({ ...known(3), accepted }, { numbers: seenOf([]), ids: new Map([["id-3", 2], ["id-1", 1]]) })
    assert.isFalse(found.exact)
    assert.deepStrictEqual([found.missingIds, found.fewer, found.twiceIds], [["id-2"], 1, ["id-3"]])
    assert.deepStrictEqual(found.unproven, Ranges.empty)
    assert.isTrue(Verify.isMissing(found))
  })
})

describe("a line of a receiver's list", () => {
  const line = (text: string) => {
    const read = Verify.parseLine(text)
    return read === undefined ? undefined : Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined))
  }
  it("is a number, an id, an epoch with a number, or JSON", () => {
    assert.deepStrictEqual(line(" 17 \r"), { sequence: 17 })
    assert.deepStrictEqual(line("0000000001a2b3c4-2f0-5"), { id: "0000000001a2b3c4-2f0-5" })
    assert.deepStrictEqual(line("9f86d081884c7d65 17"), { epoch: "9f86d081884c7d65", sequence: 17 })
    assert.deepStrictEqual(line("9f86d081884c7d65,17"), { epoch: "9f86d081884c7d65", sequence: 17 })
    assert.deepStrictEqual(
      line("{\"webhook-id\":\"a\",\"webhook-sequence\":\"5\",\"webhook-epoch\":\"e\",\"webhook-endpoint\":\"x\"}"),
      { id: "a", sequence: 5, epoch: "e", endpointId: "x" }
    )
    assert.deepStrictEqual(line("{\"headers\":{\"Webhook-Id\":\"a\",\"Webhook-Sequence\":\"5\"},\"body\":{}}"), { id: "a", sequence: 5 })
    assert.deepStrictEqual(line("{\"id\":\"a\",\"sequence\":7}"), { id: "a", sequence: 7 })
  })
  it("has an id of each form", () => {
    for (const id of ["0000000001a2b3c4-2f0-5", "0000000001a2b3c4-2f0-5-12", "0000000001a2b3c4-m", `s-${"0".repeat(32)}`, "b-0000000001a2b3c4-2f0-5-100"]) {
      assert.deepStrictEqual(line(id), { id })
      assert.deepStrictEqual(line(JSON.stringify({ "webhook-id": id })), { id })
    }
  })
  it("or it cannot be read", () => {
    for (const text of ["", "{", "{}", "[1]", "a b c", "x y", "epoch -1", "\"quoted id\"", "webhook-sequence", "17:", "{\"id\":\"a\"}"]) assert.isUndefined(line(text), text)
  })
})
