/** What the Notifier keeps in memory while endpoints are slower than the stream. */
import { afterEach, assert, describe, it, vi } from "vitest"
import { Slabs } from "../../../src/domain/Slabs.ts"
import { READY_ENOUGH, READY_FEW } from "../../../src/layers/pipeline/notifier/Core.ts"
import { endpoint, Harness, insert, rows } from "./Harness.ts"

const CHUNK = 256

/** Chunk `n`: that many rows, each of its own. */
const chunk = (n: number) => Array.from({ length: CHUNK }, (_, i) => insert(n, i, `${n}-${i}`))

/** Offers chunks until one has to wait. */
const fill = (harness: Harness, chunks: number): { readonly offered: number; readonly last: { readonly admitted: boolean } } => {
  for (let n = 1; ; n++) {
    const last = harness.offer(chunk(n))
    if (!last.admitted || n === chunks) return { offered: n * CHUNK, last }
  }
}

describe("Notifier, an endpoint that has enough to send", () => {
  it("is brought no more, until it has few", () => {
    const harness = new Harness({ endpoints: [endpoint("e", { concurrency: 8 })], latencyMs: 100 })
    const { last, offered } = fill(harness, 100)
    assert.isFalse(last.admitted)
    assert.isBelow(offered, READY_ENOUGH + 2 * CHUNK)
    while (offered - harness.sent.length >= READY_FEW + 8) {
      assert.isFalse(last.admitted)
      harness.pass(100)
    }
    harness.pass(200)
    assert.isTrue(last.admitted)
  })

  it("holds nobody who has less", () => {
    const harness = new Harness({
      endpoints: [endpoint("slow", { concurrency: 1 }), endpoint("fast", { concurrency: 1_000 })],
      latencyOf: (to) => (to === "slow" ? 600_000 : 0)
    })
    const { last } = fill(harness, 20)
    assert.isTrue(last.admitted)
    assert.strictEqual(harness.sent.filter((sent) => sent.endpoint === "fast").length, 20 * CHUNK)
  })
})

describe("Notifier, bodies that wait for long", () => {
  afterEach(() => void vi.restoreAllMocks())

  it("do not hold the memory of the bodies that were beside them", () => {
    const take = vi.spyOn(Slabs.prototype, "take")
    const harness = new Harness({
      endpoints: [endpoint("e", { concurrency: 1_000 })], latencyMs: 0, slabBytes: 64 * 1_024,
      settings: { retryInitialMs: 60_000, retryMaxMs: 60_000, parkAfterMs: 600_000 }, otherwise: () => (harness.sent.length === 0 ? "NoAnswer" : "Ok")
    })
    let most = 0
    for (let n = 1; n <= 200; n++) {
      // One of them in each chunk waits behind the first, which is tried again in a minute.
      assert.isTrue(harness.offer(chunk(n).with(0, insert(n, 0, "stuck"))).admitted)
      harness.pass(1)
      const slabs = take.mock.contexts[0] as Slabs
      most = Math.max(most, slabs.takenBytes)
    }
    assert.isAbove(take.mock.calls.length, 200, "so many slabs were written to")
    assert.isAtMost(most, 5 * 1_024 * 1_024)
    harness.pass(61_000)
    assert.strictEqual(new Set(harness.ids).size, 200 * CHUNK)
  })
})

describe("Notifier, bodies that wait for their segment", () => {
  afterEach(() => void vi.restoreAllMocks())

  it("do not hold the memory of the bodies that were beside them while the store is away", () => {
    const take = vi.spyOn(Slabs.prototype, "take")
    let away = true
    const harness = new Harness({
      endpoints: [endpoint("e", { concurrency: 1_000 }), endpoint("p", { paused: true })], latencyMs: 0, slabBytes: 64 * 1_024, storeFails: () => away,
      selects: (id, change) => id === "e" || change.kind === "I" && change.ordinal === 0
    })
    let most = 0
    for (let n = 1; n <= 200; n++) {
      assert.isTrue(harness.offer(chunk(n)).admitted)
      harness.pass(1)
      most = Math.max(most, (take.mock.contexts[0] as Slabs).takenBytes)
    }
    assert.isAbove(take.mock.calls.length, 200, "so many slabs were written to")
    assert.isAtMost(most, 5 * 1_024 * 1_024)
    away = false
    harness.pass(61_000)
    harness.change("p", endpoint("p"))
    harness.pass(2_000)
    assert.strictEqual(harness.sent.filter((sent) => sent.endpoint === "p").length, 200)
    // The harness looks at each body when it is sent.
    assert.strictEqual(new Set(harness.ids).size, 200 * CHUNK)
  })
})

describe("Notifier, a suspended endpoint while the store is away", () => {
  it("holds the stream when too much waits for one range", () => {
    let away = true
    const harness = new Harness({
      endpoints: [endpoint("e", { paused: true, suspended: true })], storeFails: () => away
    })
    let n = 0
    let last = { admitted: true }
    while (last.admitted && n < 12_000) last = harness.offer(rows(++n, `${n}`))
    assert.isFalse(last.admitted)
    assert.isBelow(n, 11_000)
    away = false
    harness.pass(120_000)
    assert.isTrue(last.admitted)
    assert.strictEqual(harness.position, n * 100 + 50)
  })
})
