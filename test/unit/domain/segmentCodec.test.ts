import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import { nameOfBatch, rangesOf, type SegmentEvent, type SegmentTarget } from "../../../src/domain/Segment.ts"
import { decode, decodeAll, encode, SegmentUnreadable } from "../../../src/domain/SegmentCodec.ts"
import { ByteReader, ByteWriter } from "../../../src/domain/SegmentBytes.ts"

const RUNS = Number(process.env["RUNS"] ?? 300)
const ALL = { from: 0, cutAt: Number.MAX_SAFE_INTEGER }

/** A stream of numbers from a seed. */
const randomOf = (seed: number) => {
  let state = seed * 2 + 1
  const next = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  const safe = () => (next(2) === 0 ? next(300) : next(2 ** 26) * 2 ** 27 + next(2 ** 27))
  return { next, safe, signed: () => (next(2) === 0 ? safe() : -safe() - 1 + 1), one: <A>(list: ReadonlyArray<A>) => list[next(list.length)]! }
}

const sample = (seed: number): { readonly endpoints: ReadonlyArray<string>; readonly events: ReadonlyArray<SegmentEvent> } => {
  const { next, one, safe, signed } = randomOf(seed)
  const endpoints = Array.from({ length: 1 + next(5) }, () => randomUUID())
  const texts = ["", "public.t", "wä\u{1f600}ird,;\0", "I", "x".repeat(300)]
  const ids = ["", "00000000000000ff-2d3-1", "00000000000000ff-2d3-12", "s-é1", "s-é2", "s-\u{1f600}", "s-\u{1f601}"]
  const keysOf = () => Array.from({ length: next(3) }, () => ({ leaf: signed(), root: signed(), definition: signed(), value: signed() }))
  const shared = keysOf()
  const targetOf = (endpointId: string): SegmentTarget => ({
    endpointId, epoch: one(texts), sequence: safe(), selectedBy: Array.from({ length: next(3) }, () => randomUUID()), keys: next(2) === 0 ? shared : keysOf()
  })
  const events = Array.from({ length: 1 + next(12) }, (): SegmentEvent => ({
    id: one(ids), body: Buffer.from(Array.from({ length: next(40) }, () => next(256))), commitLsn: safe(), ordinal: signed(), table: one(texts), kind: one(texts),
    targets: endpoints.filter(() => next(2) === 0).map(targetOf)
  }))
  return { endpoints, events }
}

const byEndpoint = (a: SegmentTarget, b: SegmentTarget) => (a.endpointId < b.endpointId ? -1 : 1)
const inOneOrder = (events: ReadonlyArray<SegmentEvent>) => events.map((event) => ({ ...event, targets: [...event.targets].sort(byEndpoint) }))
const plain = (events: ReadonlyArray<SegmentEvent>) => events.map((event) => ({ ...event, body: [...event.body] }))
const own = (events: ReadonlyArray<SegmentEvent>, endpoint: string) =>
  events.flatMap((event) => event.targets.filter(({ endpointId }) => endpointId === endpoint).map((target) => ({ ...event, targets: [target] })))

describe("a segment as bytes", () => {
  it("gives back every event, to whom it is for", () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const { endpoints, events } = sample(seed)
      const bytes = encode(events)
      assert.deepStrictEqual(plain(inOneOrder(Result.getOrThrow(decodeAll(bytes)))), plain(inOneOrder(events)), `seed ${seed}`)
      for (const endpoint of [...endpoints, randomUUID()]) {
        assert.deepStrictEqual(plain(Result.getOrThrow(decode(bytes, endpoint, ALL))), plain(own(events, endpoint)), `seed ${seed}`)
      }
    }
  })

  it("passes over an endpoint's first ones, and leaves out what is cut", () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const { endpoints: [endpoint = ""], events } = sample(seed)
      const bytes = encode(events)
      const { next } = randomOf(seed)
      const [from, cutAt] = [next(4), next(events.length + 1)]
      const expected = own(events.slice(0, cutAt), endpoint).slice(from)
      assert.deepStrictEqual(plain(Result.getOrThrow(decode(bytes, endpoint, { from, cutAt }))), plain(expected), `seed ${seed}`)
    }
  })

  it("what was changed or cut short is a failure, never an exception, and ends", () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const { endpoints: [endpoint = ""], events } = sample(seed)
      const bytes = encode(events)
      const { next } = randomOf(seed)
      assert.isTrue(Result.isFailure(decode(bytes.subarray(0, next(bytes.length)), endpoint, ALL)))
      const changed = Uint8Array.from(bytes)
      changed[next(changed.length)]! ^= 1 << next(8)
      decode(changed, endpoint, ALL)
      decodeAll(changed)
    }
    const newer = encode(sample(1).events)
    newer[0] = 2
    assert.deepStrictEqual(decode(newer, "", ALL), Result.fail(new SegmentUnreadable({ version: 2 })))
  })

  it("takes an endpoint's events out of 300 of 100 endpoints in a small part of the bytes", () => {
    const endpoints = Array.from({ length: 100 }, () => randomUUID())
    const body = Buffer.alloc(350, "x")
    const keys = [{ leaf: 16_384, root: 16_384, definition: 2 ** 40 + 5, value: -(2 ** 51) }]
    const events = Array.from({ length: 300 }, (_, n): SegmentEvent => ({
      id: `00000000016b3740-2d3a5b1c9e0f1-${n}`, body, commitLsn: 23_803_712, ordinal: n * 2 ** 20 + 1, table: "public.users", kind: "I",
      targets: endpoints.map((endpointId) => ({ endpointId, epoch: "0123456789abcdef", sequence: 1_000_000 + n, selectedBy: ["s"], keys }))
    }))
    const overhead = encode(events).byteLength - 300 * 350
    assert.isBelow(overhead / 300, 100 * 5 + 100, `${overhead / 300} bytes an event`)
  })
})

describe("numbers as bytes", () => {
  it("are exact to the ends of their range", () => {
    const numbers = [0, 1, 63, 64, 127, 128, 8191, 8192, 2 ** 31, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER]
    const out = new ByteWriter(0)
    for (const n of numbers) {
      out.unsigned(n)
      out.signed(n)
      out.signed(-n)
    }
    const from = new ByteReader(out.written(), 0)
    for (const n of numbers) assert.deepStrictEqual([from.unsigned(), from.signed(), from.signed() + 0], [n, n, -n + 0])
    assert.isFalse(from.isBroken)
    assert.deepStrictEqual([from.byte(), from.isBroken], [0, true])
  })
})

describe("ranges of numbers", () => {
  it("join neighbours of one epoch, and leave out what has none", () => {
    const numbers = [[1, "a"], [2, "a"], [0, "a"], [3, "a"], [5, "a"], [6, "b"], [7, "b"]] as const
    assert.deepStrictEqual(rangesOf(numbers.map(([sequence, epoch]) => ({ sequence, epoch }))), [
      { epoch: "a", first: 1, last: 3 }, { epoch: "a", first: 5, last: 5 }, { epoch: "b", first: 6, last: 7 }
    ])
  })

  it("a batch has a name of its own", () => {
    const { events } = sample(3)
    assert.strictEqual(nameOfBatch(events), nameOfBatch([...events]))
    assert.notStrictEqual(nameOfBatch(events), nameOfBatch(events.slice(1)))
  })
})
