import { assert, describe, it } from "@effect/vitest"
import { AttemptBuffer, type AttemptFacts, MAX_FAILURES, MAX_FAILURES_OF_ENDPOINT, MAX_HELD_BYTES, SUCCESSES } from "../../../src/domain/AttemptBuffer.ts"
import type { AttemptResult } from "../../../src/domain/Delivery.ts"

const body = Buffer.from("{\"Data\":{}}")
const facts = (endpointId: string, n: number, more: Partial<AttemptFacts> = {}): AttemptFacts => ({
  endpointId, id: `id-${n}`, sequence: n, epoch: "e", table: "public.t", kind: "I", body, commitLsn: n, ordinal: n,
  keys: [{ leaf: 1, root: 1, definition: 1, value: n }], attempts: 1, ...more
})
const ok: AttemptResult = { _tag: "Accepted", status: 204 }
const refused: AttemptResult = { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: "no" }

describe("attempts between two flushes", () => {
  it("the last 100 successes of each endpoint, oldest first, and none twice", () => {
    const buffer = new AttemptBuffer(false)
    for (let n = 1; n <= 250; n++) buffer.attempted(facts("a", n), ok, n, 2)
    for (let n = 1; n <= 3; n++) buffer.attempted(facts("b", n), ok, n, 2)
    const { failures, successes } = buffer.take(1_000)
    assert.deepStrictEqual(failures, [])
    assert.deepStrictEqual(successes.map(({ endpointId, sequence }) => `${endpointId}${sequence}`),
      [...Array.from({ length: SUCCESSES }, (_, i) => `a${151 + i}`), "b1", "b2", "b3"])
    assert.deepStrictEqual(successes.at(-1), {
      endpointId: "b", id: "id-3", sequence: 3, epoch: "e", table: "public.t", kind: "I", attempts: 1, status: 204, reason: "",
      answerStart: undefined, atMs: 3, tookMs: 2, body: undefined, keys: [], commitLsn: 0, ordinal: 0
    })
    assert.isTrue(buffer.isEmpty)
    buffer.attempted(facts("c", 7), ok, 1, 1)
    assert.deepStrictEqual(buffer.take(1_000).successes.map(({ id }) => id), ["id-7"])
  })

  it("those that do not fit one flush come with the next, whoever waits longest first", () => {
    const buffer = new AttemptBuffer(false)
    for (const endpoint of ["a", "b", "c"]) for (let n = 0; n < 100; n++) buffer.attempted(facts(endpoint, n + 1), ok, n, 1)
    const names = () => [...new Set(buffer.take(200).successes.map(({ endpointId }) => endpointId))]
    assert.deepStrictEqual(names(), ["a", "b"])
    buffer.attempted(facts("a", 101), ok, 1, 1)
    assert.deepStrictEqual(names(), ["c", "a"])
    assert.deepStrictEqual(names(), [])
  })

  it("failures with their answer; beyond the bound the oldest are counted", () => {
    const buffer = new AttemptBuffer(false)
    for (let n = 1; n <= MAX_FAILURES_OF_ENDPOINT + 7; n++) buffer.attempted(facts("a", n), refused, n, 1)
    buffer.attempted(facts("b", 1), { _tag: "NoAnswer", reason: "timeout after 10 s" }, 1, 1)
    const { failures, more } = buffer.take(10)
    assert.deepStrictEqual(more, [{ endpointId: "a", more: 7 }])
    assert.strictEqual(failures.length, MAX_FAILURES_OF_ENDPOINT + 1)
    assert.deepStrictEqual([failures[0]!.sequence, failures[0]!.reason, failures[0]!.status, failures[0]!.answerStart], [8, "HTTP 500", 500, "no"])
    assert.strictEqual(failures.at(-1)!.reason, "timeout after 10 s")
    assert.isTrue(buffer.isEmpty)
  })

  it("every failure is a row or in the count, and what is held is bounded", () => {
    const buffer = new AttemptBuffer(false)
    for (let n = 0; n < 20_000; n++) buffer.attempted(facts(`e${n % 20}`, n), refused, n, 1)
    const { failures, more } = buffer.take(10)
    assert.strictEqual(failures.length, MAX_FAILURES)
    assert.strictEqual(failures.length + more.reduce((sum, each) => sum + each.more, 0), 20_000)
  })

  it("bodies only where they are asked for, copied, up to the bound", () => {
    const slab = Buffer.from("first")
    const buffer = new AttemptBuffer(true)
    buffer.attempted(facts("a", 1, { body: slab }), ok, 1, 1)
    slab.write("later")
    const [kept] = buffer.take(100).successes
    assert.strictEqual(Buffer.from(kept!.body!).toString(), "first")
    assert.deepStrictEqual([kept!.commitLsn, kept!.ordinal, kept!.keys.length], [1, 1, 1])
    const large = new Uint8Array(200 * 1024)
    for (let n = 0; n < 400; n++) buffer.attempted(facts(`e${n % 4}`, n, { body: large }), n % 2 === 0 ? ok : refused, 1, 1)
    const { failures, successes } = buffer.take(1_000)
    const bytes = [...failures, ...successes].reduce((sum, each) => sum + (each.body?.byteLength ?? 0), 0)
    assert.isAtMost(bytes, MAX_HELD_BYTES)
    assert.isAbove(bytes, MAX_HELD_BYTES / 2)
    buffer.attempted(facts("z", 1, { body: large }), ok, 1, 1)
    assert.strictEqual(buffer.take(100).successes[0]!.body!.byteLength, large.byteLength)
  })
})
