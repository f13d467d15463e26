import { assert, describe, it } from "vitest"
import { conflicts, type Key, WHOLE } from "../../../src/domain/Key.ts"
import { TOTAL } from "../../../src/domain/Keys.ts"
import { Order, type Ordered } from "../../../src/domain/Order.ts"
import { ParkedKeys } from "../../../src/domain/OrderParked.ts"
import * as Rules from "../../../src/domain/Rules.ts"
import { Random } from "../../simulation/Random.ts"

interface Event extends Ordered {
  readonly n: number
}
const event = (n: number, ...keys: ReadonlyArray<Key>): Event => ({ n, keys, waits: 0, slots: undefined })
const row = (value: number, leaf = 1, root = leaf, definition = 7): Key => ({ leaf, root, definition, value })
const whole = (leaf: number, root = leaf): Key => ({ leaf, root, definition: 0, value: WHOLE })

/** Adds in order; returns which were free at once, and removes by hand. */
const ordered = () => {
  const order = new Order(Rules.all)
  const freed: Array<number> = []
  return {
    order, freed,
    add: (one: Event) => order.add(one),
    remove: (one: Event) => order.remove(one, (other) => freed.push((other as Event).n))
  }
}

const shares = (a: Event, b: Event): boolean => a.keys.some((key) => b.keys.some((other) => conflicts(key, other)))

const randomKey = (random: Random): Key => {
  const leaf = random.int(1, 3)
  const root = random.chance(0.3) ? 3 : leaf
  return random.chance(0.1) ? whole(leaf, root) : row(random.int(1, 4), leaf, root, random.chance(0.2) ? 8 : 7)
}
const randomKeys = (random: Random): ReadonlyArray<Key> =>
  random.chance(0.1) ? TOTAL : Array.from({ length: random.pick([0, 1, 1, 1, 1, 2, 2, 3]) }, () => randomKey(random))

describe("Order", () => {
  it("sends events of different rows at once, and those of one row one after the other", () => {
    const { add, remove, freed } = ordered()
    const [a, b, c] = [event(1, row(1)), event(2, row(2)), event(3, row(1))]
    assert.deepStrictEqual([a, b, c].map(add), [true, true, false])
    remove(b)
    assert.deepStrictEqual(freed, [])
    remove(a)
    assert.deepStrictEqual(freed, [3])
  })

  it("has a change of the key wait for both keys, and hold both", () => {
    const { add, remove, freed } = ordered()
    const all = [event(1, row(1)), event(2, row(2)), event(3, row(1), row(2)), event(4, row(1)), event(5, row(2))]
    assert.deepStrictEqual(all.map(add), [true, true, false, false, false])
    remove(all[0]!)
    assert.deepStrictEqual(freed, [])
    remove(all[1]!)
    assert.deepStrictEqual(freed, [3])
    remove(all[2]!)
    assert.deepStrictEqual(freed.sort(), [3, 4, 5])
  })

  it("lets a whole table wait for all before it, and all after it wait for it", () => {
    const { add, remove, freed } = ordered()
    const all = [event(1, row(1)), event(2, row(2)), event(3, whole(1)), event(4, row(1)), event(5, row(1, 9))]
    assert.deepStrictEqual(all.map(add), [true, true, false, false, true])
    remove(all[0]!)
    remove(all[1]!)
    assert.deepStrictEqual(freed, [3])
    remove(all[2]!)
    assert.deepStrictEqual(freed, [3, 4])
  })

  it("keeps what is of a total order and what is not apart, whichever came first", () => {
    const { order, add, remove, freed } = ordered()
    const all = [event(1, row(1)), event(2, ...TOTAL), event(3, row(2, 9)), event(4), event(5, ...TOTAL)]
    assert.deepStrictEqual(all.map(add), [true, false, false, true, false])
    assert.sameMembers(order.dependents(all[0]!).map((other) => (other as Event).n), [2, 3, 5])
    remove(all[0]!)
    assert.deepStrictEqual(freed, [2])
    remove(all[1]!)
    assert.deepStrictEqual(freed, [2, 3])
    remove(all[2]!)
    assert.deepStrictEqual(freed, [2, 3, 5])
  })

  it("makes a barrier of a changed key definition", () => {
    const { add, remove, freed } = ordered()
    const all = [event(1, row(1)), event(2, row(5, 1, 1, 8)), event(3, row(6, 1, 1, 8))]
    assert.deepStrictEqual(all.map(add), [true, false, false])
    remove(all[0]!)
    assert.deepStrictEqual(freed, [2, 3])
  })

  it("keeps a row in order that moves between partitions, or whose table is attached", () => {
    const { add } = ordered()
    assert.deepStrictEqual([event(1, row(1, 11, 10)), event(2, row(1, 12, 10))].map(add), [true, false])
    assert.deepStrictEqual([event(3, row(2, 13)), event(4, row(2, 13, 10))].map(add), [true, false])
  })

  it("never has an event wait for itself", () => {
    const { add } = ordered()
    assert.isTrue(add(event(1, row(1), row(1), whole(1), row(2, 1, 1, 8), whole(2, 1))))
  })

  it("agrees with the rule by which it is defined, whatever is removed when", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed)
      const { order, remove } = ordered()
      let there: Array<Event> = []
      for (let n = 1; n <= 40; n++) {
        const next = event(n, ...randomKeys(random))
        order.add(next)
        there.push(next)
        if (random.chance(0.5)) {
          const free = there.filter((one) => one.waits === 0)
          const one = random.pick(free)
          there = there.filter((other) => other !== one)
          remove(one)
        }
        for (const one of there) {
          const blocked = there.some((other) => other.n < one.n && shares(other, one))
          assert.strictEqual(one.waits > 0, blocked, `seed ${seed}: event ${one.n} after ${n}`)
        }
      }
      assert.strictEqual(order.size, there.length)
    }
  })

  it("names all that waits behind an event, and goes on without them", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed)
      const { order, remove } = ordered()
      let there = Array.from({ length: 30 }, (_, n) => event(n, ...randomKeys(random)))
      for (const one of there) order.add(one)
      const first = random.pick(there.filter((one) => one.waits === 0))
      const expected = new Set([first])
      for (const one of there) {
        if (one.n > first.n && [...expected].some((other) => other.n < one.n && shares(other, one))) expected.add(one)
      }
      const found = new Set([first, ...order.dependents(first) as Array<Event>])
      assert.deepStrictEqual([...found].map((one) => one.n).sort(), [...expected].map((one) => one.n).sort(), `seed ${seed}`)
      for (const one of found) remove(one)
      there = there.filter((one) => !found.has(one))
      while (there.length > 0) {
        const free = there.filter((one) => one.waits === 0)
        assert.isNotEmpty(free, `seed ${seed}: stuck`)
        remove(free[0]!)
        there = there.filter((one) => one !== free[0])
      }
    }
  })
})

describe("ParkedKeys", () => {
  it("agrees with the rule by which keys conflict, whatever comes and goes", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed)
      const parked = new ParkedKeys(Rules.all)
      const there: Array<ReadonlyArray<Key>> = []
      for (let n = 0; n < 40; n++) {
        if (there.length > 0 && random.chance(0.4)) parked.remove(there.splice(random.int(0, there.length - 1), 1)[0]!)
        else {
          const keys = randomKeys(random)
          parked.add(keys)
          there.push(keys)
        }
        const asked = randomKeys(random)
        const expected = there.some((keys) => keys.some((key) => asked.some((other) => conflicts(key, other))))
        assert.strictEqual(parked.conflicts(asked), expected, `seed ${seed} step ${n}`)
      }
      for (const keys of there) parked.remove(keys)
      assert.strictEqual(parked.size, 0)
    }
  })

  it("counts distinct keys, a partition's twice", () => {
    const parked = new ParkedKeys(Rules.all)
    for (const key of [row(1), row(1), row(2), row(3, 2, 1)]) parked.add([key])
    assert.strictEqual(parked.size, 4)
  })
})
