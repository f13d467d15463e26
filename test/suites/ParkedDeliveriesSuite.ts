/** The contract of `ParkedDeliveries`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { DeadDeliveries } from "../../src/services/DeadDeliveries.ts"
import { type ParkedCursor, ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `slot_${streams++}` })

const parked = (endpointId: string, commitLsn: number, ordinal: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId,
  id: `${commitLsn.toString(16).padStart(16, "0")}-1-${ordinal}`,
  body: Buffer.from(`{"Data":${ordinal}}`),
  keys: [{ leaf: 16_384, root: 16_384, definition: 2 ** 32 + 1, value: -(2 ** 52) }],
  sequence: 2 ** 40, epoch: "00000000000000e1", selectedBy: [], commitLsn, ordinal, table: "public.t", kind: "I", attempts: 1,
  state: "waiting", dueAtMs: 1_790_000_000_123, retries: 0, lastError: undefined, ...more
})

/** Bodies as plain bytes: one layer gives back a Buffer. */
const plain = (rows: ReadonlyArray<ParkedDelivery>) => rows.map((row) => ({ ...row, body: [...row.body] }))
const places = (rows: ReadonlyArray<ParkedCursor>) => rows.map((row) => [row.commitLsn, row.ordinal])
const at = (row: ParkedCursor): ParkedCursor => ({ commitLsn: row.commitLsn, ordinal: row.ordinal })

export const suite = <E>(name: string, layer: Layer.Layer<ParkedDeliveries | DeadDeliveries, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ParkedDeliveries (${name})`, (it) => {
    it.effect("gives back what was written, all of it, in stream order", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        const rows = [
          parked(endpoint, 2 ** 40, 2 ** 33, { selectedBy: [randomUUID(), randomUUID()], lastError: "HTTP 500; it's {down}", keys: [] }),
          parked(endpoint, 5, 11, { body: Uint8Array.from([0, 255, 10, 39]), keys: [{ leaf: -7, root: 3, definition: 0, value: 0 }, { leaf: 1, root: 2, definition: 3, value: 4 }] }),
          parked(endpoint, 5, -1_048_576, { id: "0000000000000005-m", kind: "M", table: "", sequence: 0 }),
          parked(endpoint, 5, 9, { attempts: 3, retries: 2, dueAtMs: 4_102_444_800_000, table: `we"ird.tä,b{le}` })
        ]
        yield* store.write(stream, rows)
        assert.deepStrictEqual(plain(yield* store.scan(stream, endpoint, undefined, 10)), plain([rows[2]!, rows[3]!, rows[1]!, rows[0]!]))
      }))

    it.effect("writing again changes nothing; nor does a slab that is used again", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        const body = Buffer.from("first")
        const first = parked(endpoint, 1, 1, { body, attempts: 4, retries: 3 })
        yield* store.write(stream, [first, first])
        const expected = plain([first])
        body.fill(0)
        yield* store.write(stream, [{ ...first, attempts: 0, retries: 0 }, parked(endpoint, 1, 2)])
        const rows = yield* store.scan(stream, endpoint, undefined, 10)
        assert.deepStrictEqual(plain(rows.slice(0, 1)), expected)
        assert.deepStrictEqual(places(rows), [[1, 1], [1, 2]])
      }))

    it.effect("pages by place, keeps streams and endpoints apart", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, other, endpoint, second] = [newStream(), newStream(), randomUUID(), randomUUID()]
        const rows = Array.from({ length: 25 }, (_, i) => parked(endpoint, Math.floor(i / 10) + 1, i))
        yield* store.write(stream, [...rows, parked(second, 1, 1)])
        yield* store.write(other, [parked(endpoint, 1, 1)])
        const seen: Array<ParkedDelivery> = []
        for (let after: ParkedCursor | undefined; ;) {
          const page = yield* store.scan(stream, endpoint, after, 10)
          if (page.length === 0) break
          assert.isAtMost(page.length, 10)
          seen.push(...page)
          after = at(page.at(-1)!)
        }
        assert.deepStrictEqual(plain(seen), plain(rows))
        assert.strictEqual((yield* store.scan(other, endpoint, undefined, 10)).length, 1)
        assert.strictEqual((yield* store.scan(stream, second, undefined, 10)).length, 1)
      }))

    it.effect("a page does not end inside a place", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        yield* store.write(stream, [
          parked(endpoint, 1, 1), parked(endpoint, 2, 1, { id: "b" }), parked(endpoint, 2, 1, { id: "a" }), parked(endpoint, 3, 1)
        ])
        const page = yield* store.scan(stream, endpoint, undefined, 2)
        assert.deepStrictEqual(page.map((row) => row.id), [parked(endpoint, 1, 1).id, "a", "b"])
        assert.deepStrictEqual(places(yield* store.scan(stream, endpoint, at(page.at(-1)!), 2)), [[3, 1]])
        assert.strictEqual((yield* store.loadKeys(stream, undefined, 2)).length, 3)
      }))

    it.effect("a page ends at the body that passes the bytes", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        yield* store.write(stream, [1, 2, 3, 4].map((n) => parked(endpoint, n, 0, { body: new Uint8Array(100) })))
        const lengths = []
        for (const bytes of [1, 100, 150, 399, 400]) lengths.push((yield* store.scan(stream, endpoint, undefined, 10, bytes)).length)
        assert.deepStrictEqual(lengths, [1, 2, 2, 4, 4])
        assert.deepStrictEqual(places(yield* store.scan(stream, endpoint, { commitLsn: 2, ordinal: 0 }, 10, 1)), [[3, 0]])
      }))

    it.effect("removes what was delivered, and only that", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint, second] = [newStream(), randomUUID(), randomUUID()]
        const rows = [1, 2, 3].map((n) => parked(endpoint, n, 0))
        yield* store.write(stream, [...rows, parked(second, 1, 0)])
        yield* store.remove(stream, endpoint, [rows[0]!.id, rows[2]!.id, "never there"])
        yield* store.remove(stream, endpoint, [])
        yield* store.remove(stream, endpoint, [rows[0]!.id])
        assert.deepStrictEqual(places(yield* store.scan(stream, endpoint, undefined, 10)), [[2, 0]])
        assert.strictEqual((yield* store.scan(stream, second, undefined, 10)).length, 1)
      }))

    it.effect("ends an endpoint: all its rows go, dead ones too, and no other's", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, other, endpoint, second] = [newStream(), newStream(), randomUUID(), randomUUID()]
        yield* store.write(stream, [parked(endpoint, 1, 0), parked(endpoint, 2, 0, { state: "dead" }), parked(second, 1, 0)])
        yield* store.write(other, [parked(endpoint, 1, 0)])
        assert.strictEqual(yield* store.end(stream, endpoint), 2)
        assert.strictEqual(yield* store.end(stream, endpoint), 0)
        assert.deepStrictEqual((yield* store.loadKeys(stream, undefined, 10)).map((row) => row.endpointId), [second])
        assert.strictEqual((yield* store.loadKeys(other, undefined, 10)).length, 1)
      }))

    it.effect("updates attempts, due time, state and error; a dead one keeps its row and frees its keys", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        const rows = [1, 2, 3].map((n) => parked(endpoint, n, 0))
        yield* store.write(stream, rows)
        const [written] = yield* store.loadKeys(stream, undefined, 1)
        assert.approximately(written!.parkedAtMs, Date.now(), 60_000)
        const tried: ParkedDelivery = { ...rows[0]!, attempts: 9, retries: 8, dueAtMs: 1_790_000_001_000, lastError: "timeout after 10 s" }
        const dead: ParkedDelivery = { ...rows[1]!, state: "dead", lastError: "HTTP 400" }
        yield* store.update(stream, [{ ...tried, attempts: 5 }, tried, dead, parked(endpoint, 99, 0)])
        assert.deepStrictEqual(plain(yield* store.scan(stream, endpoint, undefined, 10)), plain([tried, rows[2]!]))
        const keys = yield* store.loadKeys(stream, undefined, 10)
        assert.deepStrictEqual(keys.map((row) => [row.commitLsn, row.state, row.keys]), [
          [1, "waiting", rows[0]!.keys], [2, "dead", []], [3, "waiting", rows[2]!.keys]
        ])
        assert.strictEqual(keys[0]!.parkedAtMs, written!.parkedAtMs)
        yield* store.update(stream, [{ ...dead, state: "waiting" }])
        assert.strictEqual((yield* store.scan(stream, endpoint, undefined, 10)).length, 3)
      }))

    it.effect("loads the keys of all endpoints of a stream, page by page", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, other] = [newStream(), newStream()]
        const endpoints = [randomUUID(), randomUUID(), randomUUID()].sort()
        const rows = endpoints.flatMap((endpoint) => [7, 3, 5].map((n) => parked(endpoint, n, n)))
        yield* store.write(stream, rows)
        yield* store.write(other, [parked(endpoints[0]!, 1, 1)])
        const seen = []
        for (let after: Parameters<typeof store.loadKeys>[1]; ;) {
          const page = yield* store.loadKeys(stream, after, 2)
          if (page.length === 0) break
          seen.push(...page)
          const last = page.at(-1)!
          after = { endpointId: last.endpointId, cursor: at(last) }
        }
        assert.deepStrictEqual(seen.map((row) => [row.endpointId, row.ordinal]), endpoints.flatMap((endpoint) => [3, 5, 7].map((n) => [endpoint, n])))
        const { bytes, parkedAtMs } = seen[0]!
        assert.deepStrictEqual(seen[0], { endpointId: endpoints[0]!, id: parked("", 3, 3).id, keys: rows[0]!.keys, commitLsn: 3, ordinal: 3, state: "waiting", bytes, parkedAtMs })
        // What encrypts it comes on top.
        assert.isAtLeast(bytes, rows[0]!.body.byteLength)
        assert.isAtMost(bytes, rows[0]!.body.byteLength + 64)
      }))

    it.effect("loads ids of dead ones only from a place on, keys of all that wait", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoints] = [newStream(), [randomUUID(), randomUUID()].sort()]
        yield* store.write(stream, endpoints.flatMap((endpoint) => [
          parked(endpoint, 1, 1), parked(endpoint, 2, 1, { state: "dead" }), parked(endpoint, 3, 1, { state: "dead" }), parked(endpoint, 4, 1)
        ]))
        const seen = []
        for (let after: Parameters<typeof store.loadKeys>[1]; ;) {
          const page = yield* store.loadKeys(stream, after, 2, 3)
          if (page.length === 0) break
          seen.push(...page)
          after = { endpointId: page.at(-1)!.endpointId, cursor: at(page.at(-1)!) }
        }
        assert.deepStrictEqual(seen.map((row) => [row.endpointId, row.commitLsn, row.state]), endpoints.flatMap((endpoint) => [
          [endpoint, 1, "waiting"], [endpoint, 3, "dead"], [endpoint, 4, "waiting"]
        ]))
      }))

    it.effect("says which numbers an endpoint has, by epoch", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        const numbered = [[1, "b"], [2, "b"], [4, "b"], [3, "a"], [5, "b"], [0, "b"]] as const
        yield* store.write(stream, numbered.map(([sequence, epoch], i) =>
          parked(endpoint, i, 0, { sequence, epoch, ...(i === 1 ? { state: "dead" } : {}) })))
        yield* store.write(stream, [parked(randomUUID(), 1, 0, { sequence: 9, epoch: "b" })])
        assert.deepStrictEqual(yield* store.numbers(stream, endpoint), [
          { epoch: "a", first: 3, last: 3 }, { epoch: "b", first: 1, last: 2 }, { epoch: "b", first: 4, last: 5 }
        ])
        assert.deepStrictEqual(yield* store.numbers(stream, randomUUID()), [])
      }))

    it.effect("removes what has been dead for too long, not what waits again", () =>
      Effect.gen(function*() {
        const [store, dead] = [yield* ParkedDeliveries, yield* DeadDeliveries]
        const [stream, endpoint] = [newStream(), randomUUID()]
        const rows = [1, 2, 3].map((n) => parked(endpoint, n, 0, { state: n < 3 ? "dead" : "waiting", sequence: n }))
        yield* store.write(stream, rows)
        yield* store.update(stream, [{ ...rows[2]!, state: "dead" }])
        const now = Date.now()
        assert.deepStrictEqual(yield* dead.expired(stream, now - 3_600_000, 10), [])
        assert.strictEqual((yield* dead.expired(stream, now + 3_600_000, 2)).length, 2)
        const found = yield* dead.expired(stream, now + 3_600_000, 10)
        assert.deepStrictEqual(found.map(({ endpointId, epoch, id, sequence }) => [endpointId, epoch, id, sequence]).sort(),
          rows.map((row) => [endpoint, row.epoch, row.id, row.sequence]).sort())
        yield* store.update(stream, [{ ...rows[1]!, state: "waiting" }])
        assert.strictEqual((yield* dead.expired(stream, now + 3_600_000, 10)).length, 2)
        yield* dead.remove(stream, found)
        yield* dead.remove(stream, [])
        assert.deepStrictEqual((yield* store.loadKeys(stream, undefined, 10)).map((row) => row.id), [rows[1]!.id])
      }))

    it.effect("takes batches beyond one statement, and large bodies", () =>
      Effect.gen(function*() {
        const store = yield* ParkedDeliveries
        const [stream, endpoint] = [newStream(), randomUUID()]
        const many = Array.from({ length: 2500 }, (_, i) => parked(endpoint, 1, i))
        const large = [1, 2].map((n) => parked(endpoint, 2, n, { body: new Uint8Array(20 * 1024 * 1024).fill(n) }))
        yield* store.write(stream, [...many, ...large])
        const rows = yield* store.scan(stream, endpoint, undefined, 5000)
        assert.deepStrictEqual(places(rows), [...many, ...large].map((row) => [row.commitLsn, row.ordinal]))
        assert.isTrue(Buffer.from(rows.at(-1)!.body).equals(large[1]!.body))
        yield* store.remove(stream, endpoint, rows.map((row) => row.id))
        assert.strictEqual((yield* store.loadKeys(stream, undefined, 1)).length, 0)
      }))
  })
