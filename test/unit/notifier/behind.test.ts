import { assert, describe, it } from "vitest"
import { commit, endpoint, Harness, idOf, insert, rows } from "./Harness.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"

const size = 1_000
const small = { maxEndpointBytes: 5_000, maxQueueBytes: 1_000_000 }

/** `ms` of a stream of one event each 10 ms; as in the pipeline, nothing is offered before the last chunk was taken. */
const stream = (harness: Harness, from: number, ms: number): number => {
  const end = from + ms / 10
  let [n, last] = [from, { admitted: true }]
  for (let at = 0; n < end; at += 10) {
    assert.isBelow(at, ms + 60_000, "held for ever")
    for (; last.admitted && n < end && n - from <= at / 10; n++) last = harness.offer([insert(n, 0, `row${n}`, size), commit(n)])
    harness.pass(10)
  }
  return n
}

const hangs = (id: string) => ({ latencyOf: (to: string) => (to === id ? 600_000 : 5) })

describe("Notifier, an endpoint that is slow", () => {
  it("that hangs goes behind when it has held up another for a quarter of a second, and holds nobody from then on", () => {
    const harness = new Harness({
      endpoints: [endpoint("slow"), endpoint("fast")], settings: small, ...hangs("slow")
    })
    const offered: Array<{ readonly admitted: boolean }> = []
    for (let n = 1; n <= 20; n++) offered.push(harness.offer([insert(n, 0, `row${n}`, size), commit(n)]))
    harness.pass(200)
    const held = offered.filter(({ admitted }) => admitted).length
    assert.isBelow(held, 20)
    harness.pass(2_000)
    const next = stream(harness, 21, 2_000)
    assert.isTrue(offered.every(({ admitted }) => admitted))
    assert.isTrue(harness.offer([]).admitted, "its full lanes hold nobody")
    assert.strictEqual(new Set(harness.sent.filter((sent) => sent.endpoint === "fast").map(({ id }) => id)).size, next - 1)
    assert.isAbove(harness.segments.ids("slow").length, 150)
    assert.isBelow(harness.segments.ids("fast").length, 1)
  })

  it("costs a third one nothing: beside a dead and a slow one each event is sent as it comes", () => {
    const harness = new Harness({
      endpoints: [endpoint("dead"), endpoint("slow"), endpoint("fast")], settings: small,
      latencyOf: (to) => (to === "dead" ? 600_000 : to === "slow" ? 200 : 5)
    })
    stream(harness, 1, 10_000)
    const sentAt = harness.sent.filter((sent) => sent.endpoint === "fast").map(({ atMs }) => atMs)
    const late = sentAt.map((atMs, i) => atMs - sentAt[0]! - 10 * i)
    assert.strictEqual(late.length, 1_000)
    assert.isAbove(Math.max(...late), 100, "they do hold it, at first")
    assert.isAtMost(Math.max(...late), 2 * 250 + 100, "never longer than each of them may")
    assert.isAtMost(Math.max(...late.slice(200)), 20, "as it comes, from the second second on")
  })

  it("alone is only waited for: its backlog drains through the lanes", () => {
    const harness = new Harness({ endpoints: [endpoint("slow", { concurrency: 1 })], settings: small, latencyMs: 50 })
    stream(harness, 1, 3_000)
    harness.pass(60_000)
    assert.strictEqual(new Set(harness.ids).size, 300)
    assert.isEmpty(harness.appended)
  })

  it("is not one of ten that are equally slow: all stay live", () => {
    const all = Array.from({ length: 10 }, (_, i) => endpoint(`e${i}`, { concurrency: 1 }))
    const harness = new Harness({ endpoints: all, settings: small, latencyMs: 50 })
    stream(harness, 1, 3_000)
    harness.pass(60_000)
    assert.strictEqual(harness.sent.length, 3_000)
    assert.isEmpty(harness.appended)
  })

  it("that holds most goes behind when the sum of all is reached", () => {
    const harness = new Harness({
      endpoints: [endpoint("slow"), endpoint("fast")], settings: { maxEndpointBytes: 100_000, maxQueueBytes: 20_000 },
      ...hangs("slow")
    })
    const next = stream(harness, 1, 3_000)
    assert.strictEqual(harness.sent.filter((sent) => sent.endpoint === "fast").length, next - 1)
    assert.isAbove(harness.segments.ids("slow").length, 100)
  })

  for (const [settings, kept] of [[{ walBudgetBytes: 1_000 }, Infinity], [{}, 2_000]] as const) it(`gives way when the slot holds too much WAL for it (${kept})`, () => {
    let held = 0
    const harness = new Harness({
      endpoints: [endpoint("slow"), endpoint("fast")], settings, walHeld: () => held, walKept: kept,
      ...hangs("slow")
    })
    const next = stream(harness, 1, 2_000)
    assert.isEmpty(harness.appended)
    held = 1_001
    stream(harness, next, 1_500)
    assert.isAbove(harness.segments.ids("slow").length, 0)
    assert.isEmpty(harness.segments.ids("fast"))
    assert.isAbove(harness.store.ofEndpoint("slow").length, 0, "what waited in its lanes holds the slot no longer")
  })

  it("comes back to live when it is read up, and each event came once, in order of its key", () => {
    let slow = true
    const harness = new Harness({
      endpoints: [endpoint("a", { concurrency: 2 }), endpoint("b")], settings: small,
      latencyOf: (to) => (to === "a" && slow ? 500 : 5)
    })
    let n = 1
    for (let ms = 0; ms < 8_000; ms += 10) {
      if (ms === 4_000) slow = false
      harness.offer([insert(n, 0, `row${n % 7}`, size), commit(n)])
      n++
      harness.pass(10)
    }
    harness.pass(2_000)
    const before = harness.appended.length
    assert.isAbove(before, 0)
    n = stream(harness, n, 500)
    assert.strictEqual(harness.appended.length, before, "it is live again")
    const ids = harness.sent.filter((sent) => sent.endpoint === "a").map(({ sequence }) => sequence)
    assert.strictEqual(new Set(ids).size, n - 1)
    assert.strictEqual(ids.length, n - 1)
    for (let key = 0; key < 7; key++) {
      const own = ids.filter((sequence) => sequence % 7 === key)
      assert.deepStrictEqual(own, [...own].sort((a, b) => a - b))
    }
    assert.isTrue(harness.segments.isEmpty)
  })
})

describe("Notifier, a backlog of before a start", () => {
  const backlog = () => {
    const segments = new SimulatedSegments()
    const first = new Harness({ segments, endpoints: [endpoint("e", { paused: true })] })
    first.offer(rows(1, "a", "b", "a", "c"))
    first.pass(100)
    first.close()
    assert.strictEqual(segments.ids("e").length, 4)
    return segments
  }

  it("is sent first, with its numbers, and what the stream brings comes behind it", () => {
    const segments = backlog()
    const harness = new Harness({
      segments, position: 450, counts: new Map([["e", { count: 4, epoch: "before" }]]), endpoints: [endpoint("e", { concurrency: 1 })]
    })
    harness.offer(rows(5, "a"))
    harness.pass(2_000)
    assert.deepStrictEqual(
      harness.sent.map(({ id, sequence }) => [id, sequence]), [1, 2, 4, 3, 5].map((n) => [idOf(n), n]), "3 and 5 wait for 1"
    )
    assert.isTrue(segments.isEmpty)
  })

  it("is cut where the stream begins", () => {
    const segments = backlog()
    const harness = new Harness({ segments, position: 250 })
    harness.offer(rows(3, "a", "c"))
    harness.pass(2_000)
    assert.deepStrictEqual([...harness.ids].sort(), [1, 2, 3, 4].map((n) => idOf(n)))
  })
})
