/** The contract of `DeliveryAdmin`, run once per implementation, with the parked deliveries, segments and log of the same store. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import { EVERYTHING, WHOLE } from "../../src/domain/Key.ts"
import * as DeliverySelector from "../../src/domain/DeliverySelector.ts"
import * as EventId from "../../src/domain/EventId.ts"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { BadCursor, DeliveryAdmin, type DeliveryQuery, type MatchCursor } from "../../src/services/DeliveryAdmin.ts"
import { DeliveryLog } from "../../src/services/DeliveryLog.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { eventually } from "../support/eventually.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `admin_${streams++}` })
const bodyOf = (id: number) => Buffer.from(`{"Data":{"action":"I","columns":[{"name":"id","value":${id}},{"name":"name","value":"row ${id}"}],"identity":null}}`)

/** Event `n` committed at `n`, `n` s after 2000. */
const parked = (endpointId: string, n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId, id: `${EventId.prefixOf(n, n * 1_000_000)}0`, body: bodyOf(n), keys: [{ leaf: 1, root: 1, definition: 1, value: n }], sequence: n,
  epoch: "e", selectedBy: [], commitLsn: n, ordinal: 1, table: "public.users", kind: "I", attempts: 3, state: "waiting", dueAtMs: 1_790_000_000_000,
  retries: 2, lastError: "HTTP 500", ...more
})
/** A position whose bytes are no text. */
const at = (i: number) => ({ commitLsn: 0x1a4d258 + i })
const key = (text: string) => Result.getOrThrow(DeliverySelector.parseKey(text))
const query = (more: Partial<DeliveryQuery> = {}): DeliveryQuery => ({
  selector: {}, state: undefined, oldestFirst: true, limit: 100, cursor: undefined, ...more
})
const second2000 = (n: number) => Date.UTC(2000, 0, 1) + n * 1_000
const later = () => Date.now() + 60_000
const accepted: AttemptResult = { _tag: "Accepted", status: 204 }
const refused: AttemptResult = { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: "row 2 is bad" }

type Services = DeliveryAdmin | ParkedDeliveries | Segments

/** Settings: the log keeps bodies. */
export const suite = <E>(name: string, layer: Layer.Layer<Services, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`DeliveryAdmin (${name})`, (it) => {
    const make = Effect.fnUntraced(function*(...rows: Array<(endpoint: string) => ParkedDelivery>) {
      const [stream, endpoint] = [newStream(), randomUUID()]
      yield* (yield* ParkedDeliveries).write(stream, rows.map((row) => row(endpoint)))
      return { stream, endpoint, admin: yield* DeliveryAdmin }
    })
    const sequences = (page: { readonly deliveries: ReadonlyArray<{ readonly sequence: number }> }) => page.deliveries.map(({ sequence }) => sequence)

    it.effect("lists by state, table, id, key and time, oldest or newest first", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make(
          (e) => parked(e, 1), (e) => parked(e, 2, { state: "dead" }), (e) => parked(e, 3, { table: "public.orders" }), (e) => parked(e, 4)
        )
        const other = randomUUID()
        yield* (yield* ParkedDeliveries).write(stream, [parked(other, 2)])
        const of = (selector: DeliverySelector.DeliverySelector, more: Partial<DeliveryQuery> = {}) =>
          Effect.map(admin.list(stream, query({ selector: { endpointId: endpoint, ...selector }, ...more })), sequences)
        assert.deepStrictEqual(yield* of({}), [1, 2, 3, 4])
        assert.deepStrictEqual(yield* of({}, { oldestFirst: false }), [4, 3, 2, 1])
        assert.deepStrictEqual(yield* of({}, { state: "dead" }), [2])
        assert.deepStrictEqual(yield* of({ table: "public.orders" }), [3])
        assert.deepStrictEqual(yield* of({ ids: [parked("", 1).id, parked("", 4).id] }), [1, 4])
        assert.deepStrictEqual(yield* of({ fromMs: second2000(2), toMs: second2000(4) }), [2, 3])
        assert.deepStrictEqual(yield* of({ key: key("id=3,name=row 3") }), [3])
        assert.deepStrictEqual(yield* of({ key: key("id=3"), table: "public.users" }), [])
        assert.strictEqual((yield* admin.list(stream, query())).deliveries.length, 5)
        assert.deepStrictEqual((yield* admin.list(newStream(), query())).deliveries, [])
        const [first] = (yield* admin.list(stream, query({ selector: { endpointId: endpoint } }))).deliveries
        assert.deepStrictEqual({ ...first, atMs: 0 }, {
          endpointId: endpoint, id: parked("", 1).id, state: "waiting", sequence: 1, epoch: "e", table: "public.users", kind: "I", attempts: 3,
          atMs: 0, dueAtMs: 1_790_000_000_000, lastError: "HTTP 500", tookMs: undefined
        })
      }))

    it.effect("pages go on where the one before ended, over several endpoints; a cursor of another query is refused", () =>
      Effect.gen(function*() {
        const { admin, stream } = yield* make(...Array.from({ length: 7 }, (_, i) => (e: string) => parked(e, i + 1, at(i))))
        const other = randomUUID()
        yield* (yield* ParkedDeliveries).write(stream, Array.from({ length: 6 }, (_, i) => parked(other, i + 1, at(i))))
        for (const oldestFirst of [true, false]) {
          const seen: Array<string> = []
          for (let cursor: string | undefined; ;) {
            const page = yield* admin.list(stream, query({ oldestFirst, limit: 3, cursor }))
            assert.isAtMost(page.deliveries.length, 3)
            seen.push(...page.deliveries.map((each) => `${each.sequence} ${each.endpointId}`))
            cursor = page.next
            if (cursor === undefined) break
          }
          assert.strictEqual(new Set(seen).size, 13)
          const order = seen.map((each) => Number(each.split(" ")[0]))
          assert.deepStrictEqual(order, order.toSorted((a, b) => (oldestFirst ? a - b : b - a)))
        }
        const { next } = yield* admin.list(stream, query({ limit: 1 }))
        const forged = Buffer.from(JSON.stringify(["", false, "no position", "1", "", "", "", "", "", "", ""])).toString("base64url")
        for (const cursor of [next!, "nonsense", forged]) {
          const error = yield* Effect.flip(admin.list(stream, query({ cursor, oldestFirst: false })))
          assert.instanceOf(error.cause, BadCursor)
        }
      }))

    it.effect("lists and shows what waits in segments in its place among the rows, page by page", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make(
          (e) => parked(e, 1), (e) => parked(e, 4, { state: "dead" }), (e) => parked(e, 6), (e) => parked(e, 9), (e) => parked(e, 0, { id: "s-1", commitLsn: 7 })
        )
        const [other, segments] = [randomUUID(), yield* Segments]
        const behind = (n: number, ...endpoints: ReadonlyArray<string>) => ({
          ...parked("", n), ...(n > 7 ? { table: "public.orders" } : {}),
          targets: endpoints.map((id) => ({ endpointId: id, epoch: "e", sequence: n, selectedBy: [], keys: [] }))
        })
        yield* segments.open(stream, 0)
        // 6 is on its way from its segment to the rows; of 3 the endpoint's is erased.
        yield* segments.append(stream, [behind(2, other), behind(3, endpoint, other), behind(5, other)])
        yield* segments.append(stream, [behind(6, endpoint), behind(8, endpoint, other), behind(10, endpoint)])
        yield* segments.erase(stream, endpoint, ({ commitLsn }) => commitLsn === 3, () => Effect.void)
        const all = Effect.fnUntraced(function*(limit: number, more: Partial<DeliveryQuery> = {}) {
          const seen: Array<string> = []
          for (let cursor: string | undefined; ;) {
            const page = yield* admin.list(stream, query({ limit, ...more, cursor }))
            assert.isAtMost(page.deliveries.length, limit)
            seen.push(...page.deliveries.map(({ endpointId, sequence, state }) => `${sequence}${endpointId === endpoint ? "e" : "o"}${state === "dead" ? "†" : ""}`))
            cursor = page.next
            if (cursor === undefined) return seen
          }
        })
        /** Of one event, by endpoint: an order that the test does not know. */
        const sorted = (list: ReadonlyArray<string>) => list.toSorted((a, b) => parseInt(a) - parseInt(b) || (a < b ? -1 : 1))
        for (const limit of [1, 2, 3, 100]) {
          for (const oldestFirst of [true, false]) {
            const list = yield* all(limit, { oldestFirst, selector: {} })
            const numbers = list.map((each) => parseInt(each)).filter((n) => n > 0)
            assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => (oldestFirst ? a - b : b - a)), `${limit} ${oldestFirst}`)
            assert.deepStrictEqual(sorted([...new Set(list)]), ["0e", "1e", "2o", "3o", "4e†", "5o", "6e", "8e", "8o", "9e", "10e"])
          }
        }
        assert.strictEqual((yield* all(100)).length, 11)
        assert.deepStrictEqual(yield* all(2, { state: "dead" }), ["4e†"])
        assert.deepStrictEqual(yield* all(2, { selector: { endpointId: other }, state: "waiting" }), ["2o", "3o", "5o", "8o"])
        assert.deepStrictEqual(yield* all(1, { selector: { table: "public.orders", endpointId: endpoint } }), ["8e", "10e"])
        assert.deepStrictEqual(yield* all(1, { selector: { key: key("id=5") } }), ["5o"])
        assert.deepStrictEqual(yield* all(9, { selector: { ids: [parked("", 10).id] } }), ["10e"])
        assert.deepStrictEqual(yield* all(9, { selector: { ids: [2, 9].map((n) => parked("", n).id) } }), ["2o", "9e"])
        assert.deepStrictEqual(yield* all(9, { selector: { fromMs: second2000(8), endpointId: endpoint } }), ["0e", "8e", "9e", "10e"])
        const [facts] = (yield* admin.list(stream, query({ selector: { ids: [parked("", 5).id] } }))).deliveries
        assert.deepStrictEqual({ ...facts, atMs: 0 }, {
          endpointId: other, id: parked("", 5).id, state: "waiting", sequence: 5, epoch: "e", table: "public.users", kind: "I", attempts: 0,
          atMs: 0, dueAtMs: undefined, lastError: undefined, tookMs: undefined
        })
        const show = (id: string, n: number, withBody: boolean) => admin.show(stream, id, parked("", n).id, withBody)
        assert.strictEqual(Buffer.from((yield* show(other, 5, true))!.body!).toString(), bodyOf(5).toString())
        assert.isUndefined((yield* show(other, 5, false))!.body)
        assert.deepStrictEqual([(yield* show(other, 5, false))?.facts, (yield* show(other, 5, false))?.attempts], [facts, []])
        assert.isUndefined(yield* show(endpoint, 3, true))
        assert.isUndefined(yield* show(endpoint, 5, true))
      }))

    it.effect("shows facts, attempts and answers; the body only where it is asked for", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make((e) => parked(e, 2))
        const log = yield* DeliveryLog
        log.attempted(stream, { ...parked(endpoint, 2), attempts: 1 }, refused, 1_000, 12)
        log.attempted(stream, { ...parked(endpoint, 2), attempts: 2 }, { _tag: "NoAnswer", reason: "timeout after 10 s" }, 2_000, 10_000)
        log.attempted(stream, { ...parked(endpoint, 9), attempts: 1 }, accepted, 3_000, 4)
        const show = (n: number, withBody = false) => admin.show(stream, endpoint, parked("", n).id, withBody)
        yield* eventually("the log is written", Effect.map(show(9), (shown) => shown !== undefined))
        const shown = yield* show(2)
        assert.strictEqual(shown?.facts.state, "waiting")
        assert.isUndefined(shown?.body)
        assert.deepStrictEqual(shown?.attempts, [
          { attempt: 1, atMs: 1_000, tookMs: 12, status: 500, reason: "HTTP 500", answerStart: "row 2 is bad" },
          { attempt: 2, atMs: 2_000, tookMs: 10_000, status: undefined, reason: "timeout after 10 s", answerStart: undefined }
        ])
        assert.strictEqual(Buffer.from((yield* show(2, true))!.body!).toString(), bodyOf(2).toString())
        const sent = yield* show(9, true)
        assert.deepStrictEqual([sent?.facts.state, sent?.attempts[0]?.status, Buffer.from(sent!.body!).toString()], ["delivered", 204, bodyOf(9).toString()])
        assert.isUndefined(yield* show(7))
        const listed = (state: "delivered" | "failed") => Effect.map(admin.list(stream, query({ state, oldestFirst: false })), (page) =>
          page.deliveries.map((each) => [each.sequence, each.attempts, each.lastError]))
        assert.deepStrictEqual(yield* listed("failed"), [[2, 2, "timeout after 10 s"], [2, 1, "HTTP 500"]])
        assert.deepStrictEqual(yield* listed("delivered"), [[9, 1, undefined]])
      }))

    it.effect("says what holds others up, and counts by endpoint what waits as rows and in segments", () =>
      Effect.gen(function*() {
        const same = { keys: parked("", 1).keys }
        const { admin, endpoint, stream } = yield* make(
          (e) => parked(e, 1), (e) => parked(e, 2, same), (e) => parked(e, 3, same), (e) => parked(e, 4), (e) => parked(e, 5, { state: "dead", ...same })
        )
        const other = randomUUID()
        const event = { ...parked(other, 6), targets: [{ endpointId: other, epoch: "e", sequence: 6, selectedBy: [], keys: [] }] }
        const segments = yield* Segments
        yield* segments.open(stream, 0)
        yield* segments.append(stream, [event])
        const { blocking, partly } = yield* admin.blocking(stream, undefined)
        assert.deepStrictEqual(blocking.map(({ behind, delivery, kind }) => [delivery.sequence, kind, behind]), [[1, "row", 2]])
        assert.strictEqual(partly.size, 0)
        assert.deepStrictEqual((yield* admin.blocking(stream, other)).blocking, [])
        const counts = new Map((yield* admin.counts(stream)).map((each) => [each.endpointId, each]))
        assert.deepStrictEqual([counts.get(endpoint)?.waiting, counts.get(endpoint)?.dead, counts.get(endpoint)?.behind], [4, 1, 0])
        assert.isNumber(counts.get(endpoint)?.oldestMs)
        assert.deepStrictEqual([counts.get(other)?.waiting, counts.get(other)?.dead, counts.get(other)?.behind], [0, 0, 1])
      }))

    it.effect("with order total the one that is stuck holds up all that waits in segments", () =>
      Effect.gen(function*() {
        const total = { keys: [{ leaf: EVERYTHING, root: EVERYTHING, definition: 0, value: WHOLE }] }
        const { admin, endpoint, stream } = yield* make((e) => parked(e, 1, total))
        assert.deepStrictEqual((yield* admin.blocking(stream, endpoint)).blocking, [])
        const segments = yield* Segments
        yield* segments.open(stream, 0)
        const target = (sequence: number) => ({ endpointId: endpoint, epoch: "e", sequence, selectedBy: [], ...total })
        yield* segments.append(stream, [2, 3, 4].map((n) => ({ ...parked(endpoint, n), targets: [target(n)] })))
        const { blocking } = yield* admin.blocking(stream, undefined)
        assert.deepStrictEqual(blocking.map(({ behind, delivery, kind }) => [delivery.sequence, kind, behind]), [[1, "barrier", 3]])
      }))

    it.effect("hands a command what is meant page by page, revives it, erases it", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make(...Array.from({ length: 5 }, (_, i) => (e: string) =>
          parked(e, i + 1, { state: i === 0 ? "waiting" : "dead" })))
        const all = (selector: DeliverySelector.DeliverySelector, withBodies = false) => Effect.gen(function*() {
          const seen: Array<ParkedDelivery> = []
          for (let after: MatchCursor | undefined; ;) {
            const { next, rows } = yield* admin.matching(stream, selector, later(), after, 2, withBodies)
            seen.push(...rows)
            if (next === undefined) return seen
            after = next
          }
        })
        const numbers = (rows: ReadonlyArray<ParkedDelivery>) => rows.map(({ sequence }) => sequence)
        assert.deepStrictEqual(numbers(yield* all({})), [1, 2, 3, 4, 5])
        assert.deepStrictEqual(numbers(yield* all({ state: "dead", key: key("id=4") })), [4])
        assert.deepStrictEqual((yield* admin.matching(stream, {}, 0, undefined, 9, false)).rows, [])
        const [row] = yield* all({ ids: [parked("", 3).id] }, true)
        assert.strictEqual(Buffer.from(row!.body).toString(), bodyOf(3).toString())
        assert.deepStrictEqual([row!.keys, row!.commitLsn, row!.epoch], [parked("", 3).keys, 3, "e"])
        assert.strictEqual((yield* all({}))[0]!.body.byteLength, 0)
        yield* admin.revive(stream, endpoint, [parked("", 3).id])
        const waiting = yield* all({ state: "waiting" })
        assert.deepStrictEqual(numbers(waiting), [1, 3])
        assert.strictEqual(waiting[1]!.retries, 0)
        assert.isAtMost(waiting[1]!.dueAtMs, later())
        yield* admin.erase(stream, endpoint, [1, 2].map((n) => parked("", n).id))
        assert.deepStrictEqual(numbers(yield* all({})), [3, 4, 5])
      }))

    it.effect("of what was accepted: what the log has kept, and erases", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make()
        const log = yield* DeliveryLog
        for (const n of [1, 2, 3]) log.attempted(stream, { ...parked(endpoint, n), attempts: 1 }, accepted, 1_000 + n, 1)
        log.attempted(stream, { ...parked(endpoint, 2), attempts: 1 }, refused, 1_000, 1)
        const kept = (selector: DeliverySelector.DeliverySelector) => admin.kept(stream, { endpointId: endpoint, ...selector }, later(), undefined, 100)
        yield* eventually("the log is written", Effect.map(kept({}), ({ deliveries }) => deliveries.length === 3))
        const { deliveries } = yield* kept({ key: key("id=2") })
        assert.deepStrictEqual(deliveries.map((each) => [each.sequence, each.commitLsn, each.keys.length, Buffer.from(each.body).toString()]), [[2, 2, 1, bodyOf(2).toString()]])
        assert.strictEqual(yield* admin.eraseLogged(stream, { key: key("id=2") }), 2)
        const after = yield* kept({})
        assert.deepStrictEqual([after.deliveries.map(({ sequence }) => sequence), after.withoutBody], [[1, 3], 1])
        const shown = yield* admin.show(stream, endpoint, parked("", 2).id, true)
        assert.isUndefined(shown?.body)
        assert.deepStrictEqual(shown?.attempts.map(({ answerStart }) => answerStart), [undefined, undefined])
        yield* admin.erase(stream, endpoint, [parked("", 1).id])
        assert.deepStrictEqual((yield* kept({})).deliveries.map(({ sequence }) => sequence), [3])
      }))

    it.effect("erases of the stream that is named, not what the log has of the same delivery of another", () =>
      Effect.gen(function*() {
        const { admin, endpoint, stream } = yield* make()
        const [log, other] = [yield* DeliveryLog, newStream()]
        const all = [stream, other]
        for (const each of all) log.attempted(each, { ...parked(endpoint, 1), attempts: 1 }, refused, 1_000, 1)
        const answers = Effect.forEach(all, (each) =>
          Effect.map(admin.show(each, endpoint, parked("", 1).id, false), (shown) => shown?.attempts.map(({ answerStart }) => answerStart)))
        const answer = "row 2 is bad"
        yield* eventually("the log is written", Effect.map(answers, (found) => found.every((each) => each !== undefined)))
        assert.deepStrictEqual(yield* answers, [[answer], [answer]])
        yield* admin.erase(stream, endpoint, [parked("", 1).id])
        assert.deepStrictEqual(yield* answers, [[undefined], [answer]])
        yield* admin.erase(other, endpoint, [parked("", 1).id])
        assert.deepStrictEqual(yield* answers, [[undefined], [undefined]])
      }))
  })
