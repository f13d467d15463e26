/** The contract of `Segments`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { SegmentEvent, SegmentTarget } from "../../src/domain/Segment.ts"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { type SegmentCursor, type SegmentLook, Segments } from "../../src/services/Segments.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `segments_${streams++}` })

const targetOf = (endpointId: string, sequence: number, more: Partial<SegmentTarget> = {}): SegmentTarget => ({
  endpointId, sequence, epoch: "00000000000000e1", selectedBy: [], keys: [], ...more
})

/** Event `n`, committed at `n`; number `n` of each endpoint. */
const event = (n: number, endpoints: ReadonlyArray<string>, more: Partial<SegmentEvent> = {}): SegmentEvent => ({
  id: `${n.toString(16).padStart(16, "0")}-1-0`, body: Buffer.from(`{"Data":${n}}`), commitLsn: n, ordinal: 1, table: "public.t", kind: "I",
  targets: endpoints.map((endpoint) => targetOf(endpoint, n)), ...more
})

/** Bodies as plain bytes: layers may give back a Buffer. */
const plain = (events: ReadonlyArray<SegmentEvent>) => events.map((each) => ({ ...each, body: [...each.body] }))
const start: SegmentCursor = { segment: 0, index: 0 }

/** What an endpoint reads from `from` on: number of the segment and commit LSN of each event. */
const readAll = (stream: StreamId, endpoint: string, from: SegmentCursor = start) =>
  Effect.gen(function*() {
    const segments = yield* Segments
    const seen: Array<readonly [number, number]> = []
    for (let cursor = from; ;) {
      const segment = yield* segments.read(stream, endpoint, cursor)
      if (segment === undefined) return seen
      for (const each of segment.events) seen.push([segment.number, each.commitLsn])
      cursor = { segment: segment.number + 1, index: 0 }
    }
  })
const reads = (stream: StreamId, endpoint: string, from?: SegmentCursor) =>
  Effect.map(readAll(stream, endpoint, from), (seen) => seen.map(([, lsn]) => lsn))

export const suite = <E>(name: string, layer: Layer.Layer<Segments, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Segments (${name})`, (it) => {
    it.effect("gives back what was appended, all of it, in its order, to whom it is for", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        const rows = [randomUUID(), randomUUID()]
        const keys = [{ leaf: -7, root: 16_384, definition: 2 ** 32 + 1, value: -(2 ** 52) }, { leaf: 1, root: 1, definition: 0, value: 0 }]
        const events = [
          event(5, [], { targets: [targetOf(a, 2 ** 40, { selectedBy: rows, keys }), targetOf(b, 1, { epoch: "e2", keys: [keys[1]!] })] }),
          event(5, [b], { ordinal: 2 ** 33, body: Uint8Array.from([0, 255, 10, 39]), table: `we"ird.tä,b{le}`, kind: "M", id: "s-ünicode" }),
          event(2 ** 52, [], { ordinal: -1_048_576, body: new Uint8Array(), targets: [targetOf(a, 0, { selectedBy: [rows[1]!] })] })
        ]
        yield* segments.open(stream, 0)
        const number = yield* segments.append(stream, events)
        const own = (endpoint: string) => plain(events.flatMap((each) => {
          const targets = each.targets.filter(({ endpointId }) => endpointId === endpoint)
          return targets.length === 0 ? [] : [{ ...each, targets }]
        }))
        for (const endpoint of [a, b]) {
          const found = yield* segments.read(stream, endpoint, start)
          assert.strictEqual(found?.number, number)
          assert.deepStrictEqual(plain(found!.events), own(endpoint))
        }
        assert.isUndefined(yield* segments.read(stream, randomUUID(), start))
      }))

    it.effect("numbers rise; each endpoint finds its own, past any number that has none of it", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, other, a, b] = [newStream(), newStream(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        const numbers: Array<number> = []
        for (let n = 1; n <= 9; n++) numbers.push(yield* segments.append(stream, [event(2 * n, [n % 4 === 0 ? b : a]), event(2 * n + 1, n === 5 ? [a, b] : [a])]))
        assert.deepStrictEqual(numbers, [...new Set(numbers)].sort((x, y) => x - y))
        assert.deepStrictEqual(yield* readAll(stream, b), [[numbers[3]!, 8], [numbers[4]!, 11], [numbers[7]!, 16]])
        assert.deepStrictEqual(yield* reads(stream, a, { segment: numbers[7]!, index: 0 }), [17, 18, 19])
        assert.deepStrictEqual(yield* reads(stream, b, { segment: numbers[7]!, index: 1 }), [])
        assert.deepStrictEqual(yield* readAll(other, a), [])
      }))

    it.effect("a slab that is used again changes nothing, nor does a batch that comes twice", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a] = [newStream(), randomUUID()]
        yield* segments.open(stream, 0)
        const body = Buffer.from("first")
        const batch = [event(1, [a], { body }), event(2, [a])]
        const number = yield* segments.append(stream, batch)
        body.fill(0)
        assert.strictEqual(yield* segments.append(stream, batch), number)
        assert.isAbove(yield* segments.append(stream, [event(3, [a])]), number)
        const found = yield* segments.read(stream, a, start)
        assert.strictEqual(Buffer.from(found!.events[0]!.body).toString(), "first")
        assert.deepStrictEqual(yield* reads(stream, a), [1, 2, 3])
      }))

    it.effect("appends that overlap are stored in the order of the calls", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a] = [newStream(), randomUUID()]
        yield* segments.open(stream, 0)
        const lsns = Array.from({ length: 20 }, (_, i) => i + 1)
        const numbers = yield* Effect.forEach(lsns, (n) => segments.append(stream, [event(n, [a], { body: Buffer.alloc(n % 2 === 0 ? 10 : 200_000) })]), { concurrency: 5 })
        assert.deepStrictEqual(numbers, [...numbers].sort((x, y) => x - y))
        assert.deepStrictEqual(yield* reads(stream, a), lsns)
      }))

    it.effect("open says what waits, from the cursor on", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b, c] = [newStream(), randomUUID(), randomUUID(), randomUUID()]
        const before = Date.now()
        assert.deepStrictEqual(yield* segments.open(stream, 0), [])
        const body = (n: number) => ({ body: new Uint8Array(n) })
        const first = yield* segments.append(stream, [event(1, [a], body(1)), event(2, [a, b], body(10)), event(3, [a, c], body(100))])
        const second = yield* segments.append(stream, [event(4, [a], body(1000)), event(5, [b], body(10_000))])
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 1 }], [b, { segment: second, index: 0 }], [c, { segment: second, index: 0 }]]))
        const backlogs = yield* segments.open(stream, 99)
        const of = (endpoint: string) => backlogs.find(({ endpointId }) => endpointId === endpoint)
        assert.strictEqual(backlogs.length, 2)
        for (const backlog of backlogs) {
          assert.isAtLeast(backlog.oldestMs, before - 1000)
          assert.isAtMost(backlog.oldestMs, Date.now() + 1000)
        }
        const plain = { oldestMs: 0, lowestLsn: 0 }
        assert.deepStrictEqual({ ...of(a), ...plain }, { endpointId: a, cursor: { segment: first, index: 1 }, events: 3, bytes: 1110, ...plain })
        assert.deepStrictEqual({ ...of(b), ...plain }, { endpointId: b, cursor: { segment: second, index: 0 }, events: 1, bytes: 10_000, ...plain })
        // The one of a segment may be below an event's of it, and is above what lies in those before.
        assert.includeMembers([1, 2], [of(a)?.lowestLsn])
        assert.includeMembers([4, 5], [of(b)?.lowestLsn])
      }))

    it.effect("open cuts what the stream brings again, and only that", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b, c] = [newStream(), randomUUID(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        const first = yield* segments.append(stream, [event(1, [a]), event(3, [a], { ordinal: 1 }), event(3, [a, c], { ordinal: 2 }), event(4, [a, b])])
        const second = yield* segments.append(stream, [event(5, [a, b])])
        const backlogs = yield* segments.open(stream, 3)
        assert.deepStrictEqual(backlogs.map(({ cursor, endpointId, events }) => [endpointId, cursor, events]), [[a, { segment: first, index: 0 }, 1]])
        assert.deepStrictEqual(yield* reads(stream, a), [1])
        assert.deepStrictEqual(yield* reads(stream, b), [])
        const third = yield* segments.append(stream, [event(3, [a, b]), event(4, [a])])
        assert.isAbove(third, second)
        assert.deepStrictEqual(yield* readAll(stream, a), [[first, 1], [third, 3], [third, 4]])
        assert.deepStrictEqual((yield* segments.open(stream, 4)).map(({ endpointId, events }) => [endpointId, events]).sort(), [[a, 2], [b, 1]].sort())
        assert.deepStrictEqual(yield* segments.numbers(stream, a), [{ epoch: "00000000000000e1", first: 1, last: 1 }, { epoch: "00000000000000e1", first: 3, last: 3 }])
        assert.deepStrictEqual(yield* segments.open(stream, 0), [])
      }))

    it.effect("cursors never go back; past its last event nothing waits, until more comes", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a] = [newStream(), randomUUID()]
        yield* segments.open(stream, 0)
        const first = yield* segments.append(stream, [event(1, [a]), event(2, [a])])
        const pass = (segment: number, index: number) => segments.pass(stream, new Map([[a, { segment, index }]]))
        yield* pass(first, 1)
        yield* pass(first, 0)
        assert.deepStrictEqual((yield* segments.open(stream, 99)).map(({ cursor, events }) => [cursor.index, events]), [[1, 1]])
        yield* pass(first, 2)
        assert.deepStrictEqual(yield* segments.open(stream, 99), [])
        const second = yield* segments.append(stream, [event(3, [randomUUID()]), event(4, [a])])
        yield* pass(first, 1)
        assert.deepStrictEqual((yield* segments.open(stream, 99)).filter(({ endpointId }) => endpointId === a).map(({ cursor }) => cursor), [{ segment: second, index: 0 }])
        yield* segments.pass(stream, new Map([[randomUUID(), { segment: second, index: 0 }]]))
        yield* pass(second + 1, 0)
        assert.strictEqual((yield* segments.open(stream, 99)).length, 1)
      }))

    it.effect("says the numbers of what waits, ends an endpoint, and leaves the others", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        const numbered = (n: number, sequence: number, epoch: string) => event(n, [], { targets: [targetOf(a, sequence, { epoch }), targetOf(b, n)] })
        const first = yield* segments.append(stream, [numbered(1, 1, "x"), numbered(2, 2, "x"), numbered(3, 0, "x"), numbered(4, 3, "x")])
        yield* segments.append(stream, [numbered(5, 4, "x"), numbered(6, 6, "x"), numbered(7, 1, "y")])
        yield* segments.append(stream, [numbered(8, 2, "y"), numbered(9, 3, "y")])
        assert.deepStrictEqual(yield* segments.numbers(stream, a), [
          { epoch: "x", first: 1, last: 4 }, { epoch: "x", first: 6, last: 6 }, { epoch: "y", first: 1, last: 3 }
        ])
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 2 }]]))
        assert.deepStrictEqual((yield* segments.numbers(stream, a))[0], { epoch: "x", first: 3, last: 4 })
        assert.strictEqual(yield* segments.end(stream, a), 7)
        assert.strictEqual(yield* segments.end(stream, a), 0)
        assert.deepStrictEqual(yield* segments.numbers(stream, a), [])
        assert.deepStrictEqual((yield* segments.open(stream, 99)).map(({ endpointId, events }) => [endpointId, events]), [[b, 9]])
        yield* segments.append(stream, [event(10, [a])])
        assert.deepStrictEqual((yield* segments.open(stream, 99)).map(({ events }) => events).sort(), [1, 9])
      }))

    it.effect("says what waits for whom, and changes nothing by it", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        assert.deepStrictEqual(yield* segments.backlog(stream), [])
        const first = yield* segments.append(stream, [event(1, [a, b]), event(2, [a])])
        yield* segments.append(stream, [event(3, [a, b])])
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 1 }]]))
        const all = yield* segments.backlog(stream)
        assert.deepStrictEqual(new Map(all.map(({ endpointId, events }) => [endpointId, events])), new Map([[a, 2], [b, 2]]))
        assert.deepStrictEqual(yield* reads(stream, b), [1, 3])
      }))

    it.effect("shows tools what waits, segment by segment in both directions: of one endpoint or all, at a position, never what was passed or erased", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        const seen = Effect.fnUntraced(function*(more: Partial<SegmentLook> = {}) {
          const look: SegmentLook = { endpoint: undefined, from: undefined, newestFirst: false, position: undefined, ...more }
          const found: Array<string> = []
          for (let from = look.from; ;) {
            const segment = yield* segments.look(stream, { ...look, from })
            if (segment === undefined) return found.join(" ")
            assert.isBelow(Math.abs(segment.madeAtMs - Date.now()), 60_000)
            found.push(segment.events.map(({ commitLsn, targets }) =>
              commitLsn + targets.map(({ endpointId }) => (endpointId === a ? "a" : "b")).sort().join("")).join(","))
            from = segment.number + (look.newestFirst ? -1 : 1)
          }
        })
        yield* segments.open(stream, 0)
        assert.strictEqual(yield* seen(), "")
        const first = yield* segments.append(stream, [event(1, [a]), event(2, [a, b]), event(3, [b])])
        yield* segments.append(stream, [event(4, [b])])
        const third = yield* segments.append(stream, [event(5, [a, b]), event(6, [a])])
        assert.strictEqual(yield* seen(), "1a,2ab,3b 4b 5ab,6a")
        assert.strictEqual(yield* seen({ newestFirst: true }), "5ab,6a 4b 1a,2ab,3b")
        assert.strictEqual(yield* seen({ endpoint: a }), "1a,2a 5a,6a")
        assert.strictEqual(yield* seen({ endpoint: randomUUID() }), "")
        assert.strictEqual(yield* seen({ position: 2 }), "1a,2ab,3b")
        assert.strictEqual(yield* seen({ position: 9 }), "")
        assert.strictEqual(yield* seen({ from: first + 1, newestFirst: true }), "4b 1a,2ab,3b")
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 1 }], [b, { segment: third, index: 0 }]]))
        yield* segments.erase(stream, a, ({ commitLsn }) => commitLsn === 5, () => Effect.void)
        assert.strictEqual(yield* seen(), "2a 5b,6a")
        assert.strictEqual(yield* seen({ newestFirst: true }), "5b,6a 2a")
        yield* segments.end(stream, a)
        assert.strictEqual(yield* seen({ newestFirst: true }), "5b")
      }))

    it.effect("erases bodies of one endpoint; places, numbers of others and their bodies stay", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        const first = yield* segments.append(stream, [event(1, [a, b]), event(2, [a]), event(3, [a, b]), event(4, [b])])
        yield* segments.append(stream, [event(5, [a, b])])
        const seen: Array<number> = []
        const before = (erased: ReadonlyArray<SegmentEvent>) =>
          Effect.sync(() => void seen.push(...erased.map(({ targets }) => targets[0]!.sequence)))
        const matches = ({ commitLsn }: SegmentEvent) => commitLsn !== 1 && commitLsn !== 4
        assert.strictEqual(yield* segments.erase(stream, a, matches, before), 3)
        assert.deepStrictEqual(seen, [2, 3, 5])
        assert.strictEqual(yield* segments.erase(stream, a, matches, before), 0)
        const bodies = (endpoint: string) =>
          Effect.map(segments.read(stream, endpoint, start), (segment) => segment!.events.map(({ body, id }) => [id, Buffer.from(body).toString()]))
        const whole = (n: number, text = `{"Data":${n}}`) => [event(n, []).id, text]
        assert.deepStrictEqual(yield* bodies(a), [whole(1), whole(2, ""), whole(3, "")])
        assert.deepStrictEqual(yield* bodies(b), [whole(1), whole(3), whole(4)])
        assert.deepStrictEqual(yield* segments.numbers(stream, a), [{ epoch: "00000000000000e1", first: 1, last: 1 }])
        assert.deepStrictEqual(yield* reads(stream, b, { segment: first, index: 1 }), [3, 4, 5])
        assert.deepStrictEqual(yield* reads(stream, a, { segment: first, index: 2 }), [3, 5])
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 3 }]]))
        assert.deepStrictEqual(yield* reads(stream, a, { segment: first, index: 3 }), [5])
      }))

    it.effect("erases what nobody waits for any more, beside what others wait for", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a, b] = [newStream(), randomUUID(), randomUUID()]
        yield* segments.open(stream, 0)
        const first = yield* segments.append(stream, [event(1, [a, b]), event(2, [a]), event(3, [a]), event(4, [b])])
        yield* segments.append(stream, [event(5, [a]), event(6, [a]), event(7, [b])])
        const odd = ({ commitLsn }: SegmentEvent) => commitLsn % 2 === 1
        assert.strictEqual(yield* segments.erasePassed(stream, () => true), 0)
        yield* segments.pass(stream, new Map([[a, { segment: first, index: 2 }]]))
        assert.strictEqual(yield* segments.erasePassed(stream, odd), 0)
        yield* segments.pass(stream, new Map([[a, { segment: first + 1, index: 1 }]]))
        assert.strictEqual(yield* segments.erasePassed(stream, odd), 2)
        assert.strictEqual(yield* segments.erasePassed(stream, odd), 0)
        assert.deepStrictEqual([yield* reads(stream, a, { segment: first + 1, index: 1 }), yield* reads(stream, b)], [[6], [1, 4, 7]])
        assert.strictEqual(yield* segments.erasePassed(stream, () => true), 1)
        yield* segments.end(stream, a)
        assert.strictEqual(yield* segments.erasePassed(stream, () => true), 1)
        assert.deepStrictEqual(yield* reads(stream, b), [1, 4, 7])
        assert.deepStrictEqual((yield* segments.backlog(stream)).map(({ events }) => events), [3])
      }))

    it.effect("erases nothing that could not be recorded before", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, a] = [newStream(), randomUUID()]
        yield* segments.open(stream, 0)
        yield* segments.append(stream, [event(1, [a])])
        const failed = yield* Effect.flip(segments.erase(stream, a, () => true, () => Effect.fail("no room" as const)))
        assert.strictEqual(failed, "no room")
        assert.strictEqual((yield* segments.read(stream, a, start))!.events[0]!.body.byteLength, 10)
        assert.strictEqual(yield* segments.erase(stream, randomUUID(), () => true, () => Effect.void), 0)
      }))

    it.effect("takes large bodies, and many endpoints", () =>
      Effect.gen(function*() {
        const segments = yield* Segments
        const [stream, endpoints] = [newStream(), Array.from({ length: 300 }, () => randomUUID())]
        yield* segments.open(stream, 0)
        const large = event(1, [endpoints[0]!], { body: new Uint8Array(20 * 1024 * 1024).fill(7) })
        yield* segments.append(stream, [large])
        yield* segments.append(stream, Array.from({ length: 300 }, (_, i) => event(2 + i, i % 2 === 0 ? endpoints : [endpoints[i]!])))
        const found = yield* segments.read(stream, endpoints[0]!, start)
        assert.isTrue(Buffer.from(found!.events[0]!.body).equals(large.body))
        assert.strictEqual((yield* reads(stream, endpoints[299]!)).length, 151)
        assert.strictEqual((yield* segments.open(stream, 1000)).length, 300)
      }))
  })
