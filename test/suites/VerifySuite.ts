/** The contract of `Verify`, run once per implementation, with the rows, segments, ranges and log of the same store. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import * as Ranges from "../../src/domain/Ranges.ts"
import type { StreamId } from "../../src/domain/StreamId.ts"
import * as Numbers from "../../src/domain/Verify.ts"
import { DeliveryAdmin } from "../../src/services/DeliveryAdmin.ts"
import { DeliveryLog } from "../../src/services/DeliveryLog.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { type RangeState, SequenceRanges } from "../../src/services/SequenceRanges.ts"
import { Verify } from "../../src/services/Verify.ts"
import { eventually } from "../support/eventually.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `verify_${streams++}` })
export const urlOf = (endpoint: string): string => `http://user:hidden@localhost/${endpoint}`

const row = (endpointId: string, n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId, id: `id-${n}-${more.epoch ?? "now"}`, sequence: n, epoch: "now", commitLsn: n, ordinal: 1, table: "public.t", kind: "I",
  body: Buffer.from("{}"), keys: [], selectedBy: [], attempts: 1, state: "waiting", dueAtMs: 0, retries: 0, lastError: undefined, ...more
})
const event = (endpoint: string, n: number, epoch = "now") =>
  ({ ...row(endpoint, n), targets: [{ endpointId: endpoint, epoch, sequence: n, selectedBy: [], keys: [] }] })
const range = (endpointId: string, state: RangeState, first: number, last: number, epoch = "now") => ({ endpointId, epoch, state, first, last })

type Services = Verify | ParkedDeliveries | Segments | SequenceRanges | DeliveryAdmin

/** What the checkpoint of a stream says of an endpoint, and that it is there, at `urlOf`. */
export type Given<R> = (stream: StreamId, endpoint: string, count: number, epoch: string) => Effect.Effect<unknown, unknown, R>

export const suite = <E, R extends never>(name: string, layer: Layer.Layer<Services | R, E>, given: Given<R>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Verify (${name})`, (it) => {
    const make = Effect.fnUntraced(function*(count: number) {
      const [stream, endpoint] = [newStream(), randomUUID()]
      yield* given(stream, endpoint, count, "now")
      const known = Effect.map((yield* Verify).known(stream, endpoint), ([only]) => only!)
      const texts = Effect.map(known, (found) => {
        const { accounts, delivered } = Numbers.balance(found)
        const all = { delivered, ...accounts }
        return Object.fromEntries(Object.entries(all).flatMap(([state, numbers]) => (numbers.length === 0 ? [] : [[state, Ranges.format(numbers)]])))
      })
      return { stream, endpoint, known, texts, parked: yield* ParkedDeliveries, segments: yield* Segments, ranges: yield* SequenceRanges }
    })

    it.effect("given = delivered + waiting + dead + suspended + withdrawn + purged, by the epoch in force", () =>
      Effect.gen(function*() {
        const { endpoint, known, parked, ranges, segments, stream, texts } = yield* make(100)
        yield* segments.open(stream, 0)
        // 91 and 92 wait in a segment; 92 is a row, too: on its way. 101 is above the checkpoint.
        yield* segments.append(stream, [91, 92, 101].map((n) => event(endpoint, n)))
        yield* parked.write(stream, [
          ...[10, 11, 12].map((n) => row(endpoint, n)), row(endpoint, 92), ...[20, 22].map((n) => row(endpoint, n, { state: "dead" })),
          row(endpoint, 5, { epoch: "before" }), row(endpoint, 0, { id: "s-copied" })
        ])
        yield* ranges.add(stream, [
          range(endpoint, "suspended", 30, 39), range(endpoint, "withdrawn", 40, 40), range(endpoint, "purged", 50, 51), range(endpoint, "purged", 60, 69, "before")
        ])
        const { earlier, epoch, given: count, url } = yield* known
        assert.deepStrictEqual([count, epoch, earlier, url], [100, "now", 1, urlOf(endpoint)])
        assert.deepStrictEqual(yield* texts, {
          delivered: "1-9, 13-19, 21, 23-29, 41-49, 52-90, 93-100", waiting: "10-12, 91-92", dead: "20, 22", suspended: "30-39", withdrawn: "40", purged: "50-51"
        })
      }))

    it.effect("each in one place: what is there before what is recorded, waiting before dead", () =>
      Effect.gen(function*() {
        const { endpoint, parked, ranges, segments, stream, texts } = yield* make(10)
        yield* segments.open(stream, 0)
        yield* segments.append(stream, [event(endpoint, 3), event(endpoint, 4)])
        yield* parked.write(stream, [row(endpoint, 2), row(endpoint, 4, { state: "dead" }), row(endpoint, 5, { state: "dead" })])
        yield* ranges.add(stream, (["suspended", "withdrawn", "purged"] as const).map((state) => range(endpoint, state, 2, 7)))
        assert.deepStrictEqual(yield* texts, { delivered: "1, 8-10", waiting: "2-4", dead: "5", suspended: "6-7" })
      }))

    it.effect("follows an erased event, a passed cursor, and an endpoint that ends", () =>
      Effect.gen(function*() {
        const { endpoint, ranges, segments, stream, texts } = yield* make(6)
        yield* segments.open(stream, 0)
        const number = yield* segments.append(stream, [1, 2, 3, 4, 5, 6].map((n) => event(endpoint, n)))
        assert.deepStrictEqual(yield* texts, { waiting: "1-6" })
        yield* segments.erase(stream, endpoint, ({ commitLsn }) => commitLsn === 4, () =>
          Effect.orDie(ranges.add(stream, [range(endpoint, "purged", 4, 4)])))
        yield* segments.pass(stream, new Map([[endpoint, { segment: number, index: 2 }]]))
        assert.deepStrictEqual(yield* texts, { delivered: "1-2", waiting: "3, 5-6", purged: "4" })
        yield* ranges.add(stream, [range(endpoint, "withdrawn", 3, 3), range(endpoint, "withdrawn", 5, 6)])
        yield* segments.end(stream, endpoint)
        assert.deepStrictEqual(yield* texts, { delivered: "1-2", withdrawn: "3, 5-6", purged: "4" })
      }))

    it.effect("says how many of earlier epochs wait or are dead, in rows and segments", () =>
      Effect.gen(function*() {
        const { endpoint, known, parked, segments, stream, texts } = yield* make(2)
        yield* segments.open(stream, 0)
        yield* segments.append(stream, [event(endpoint, 1, "old"), event(endpoint, 2, "old"), event(endpoint, 1)])
        yield* parked.write(stream, [row(endpoint, 7, { epoch: "old", state: "dead" }), row(endpoint, 8, { epoch: "old" })])
        assert.strictEqual((yield* known).earlier, 4)
        assert.deepStrictEqual(yield* texts, { delivered: "2", waiting: "1" })
      }))

    it.effect("has the ids of the log, newest first, of this epoch and at most up to the checkpoint", () =>
      Effect.gen(function*() {
        const { endpoint, known, stream } = yield* make(10)
        const [log, admin] = [yield* DeliveryLog, yield* DeliveryAdmin]
        const deliver = (n: number, more: Partial<ParkedDelivery> = {}) =>
          log.attempted(stream, { ...row(endpoint, n, more), attempts: 1 }, { _tag: "Accepted", status: 200 }, 1_790_000_000_000 + n, 1)
        for (const n of [1, 2, 9, 11, 0]) deliver(n)
        deliver(3, { epoch: "old" })
        log.attempted(stream, { ...row(endpoint, 4), attempts: 1 }, { _tag: "NoAnswer", reason: "reset" }, 1_790_000_000_000, 1)
        const query = { selector: {}, state: "delivered" as const, oldestFirst: true, limit: 100, cursor: undefined }
        yield* eventually("the log is written", Effect.map(admin.list(stream, query), ({ deliveries }) => deliveries.length === 6))
        assert.deepStrictEqual((yield* known).accepted, [9, 2, 1].map((n) => ({ id: `id-${n}-now`, sequence: n })))
      }))

    it.effect("of one endpoint, or of all that were given numbers in this stream, by id", () =>
      Effect.gen(function*() {
        const stream = newStream()
        const [a, b, none] = [randomUUID(), randomUUID(), randomUUID()]
        yield* given(stream, a, 1, "x")
        yield* given(stream, b, 2, "y")
        yield* given(stream, none, 0, "z")
        const ids = (of: StreamId, endpoint?: string) =>
          Effect.flatMap(Effect.service(Verify), (verify) => Effect.map(verify.known(of, endpoint), (all) => all.map(({ endpointId }) => endpointId)))
        assert.deepStrictEqual(yield* ids(stream), [a, b].sort())
        assert.deepStrictEqual(yield* ids(stream, b), [b])
        assert.deepStrictEqual(yield* ids(stream, randomUUID()), [])
        assert.deepStrictEqual(yield* ids(newStream()), [])
      }))
  })
