/** The contract of `NoticeStore`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { EndpointStates } from "../../src/services/EndpointStates.ts"
import { EndpointStore } from "../../src/services/EndpointStore.ts"
import { NoticeStore, type ToldNotice } from "../../src/services/NoticeStore.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `notices_${streams++}` })
const notice = (more: Partial<ToldNotice> = {}): ToldNotice => ({
  id: randomUUID(), kind: "endpoint_disabled", endpointId: "10000000-0000-0000-0000-000000000000", message: "It's \"off\".",
  facts: { status: 410, why: "gone" }, beganAtMs: 1_790_000_000_123, sent: false, ...more
})

const dead = (endpointId: string, n: number): ParkedDelivery => ({
  endpointId, id: `${n.toString(16).padStart(16, "0")}-1-0`, body: Buffer.from("{}"), keys: [], sequence: n, epoch: "00000000000000e1", selectedBy: [],
  commitLsn: n, ordinal: 0, table: "public.t", kind: "I", attempts: 1, state: "dead", dueAtMs: 0, retries: 0, lastError: "HTTP 400"
})

type Services = NoticeStore | EndpointStates | EndpointStore | ParkedDeliveries | SubscriptionStore

/** `stream`: that of `EndpointStore`. */
export const suite = <E>(name: string, layer: Layer.Layer<Services, E>, stream: StreamId = { systemIdentifier: "1", slotName: "s" }) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`NoticeStore (${name})`, (it) => {
    it.effect("a state is told once, until it is over", () =>
      Effect.gen(function*() {
        const store = yield* NoticeStore
        const [stream, other] = [newStream(), newStream()]
        const first = notice()
        assert.isTrue(yield* store.tell(stream, first))
        assert.isFalse(yield* store.tell(stream, notice()))
        assert.isTrue(yield* store.tell(other, notice()))
        assert.isTrue(yield* store.tell(stream, notice({ kind: "first_dead_letter" })))
        assert.isTrue(yield* store.tell(stream, notice({ kind: "slot_near_loss", endpointId: undefined })))
        yield* store.over(stream, first.kind, first.endpointId)
        yield* store.over(stream, "slot_near_loss", undefined)
        assert.deepStrictEqual((yield* store.load(stream)).map(({ kind }) => kind), ["first_dead_letter"])
        assert.isTrue(yield* store.tell(stream, notice()))
        assert.strictEqual((yield* store.load(other)).length, 1)
      }))

    it.effect("gives back what was told, and whether it was sent", () =>
      Effect.gen(function*() {
        const store = yield* NoticeStore
        const stream = newStream()
        const told = notice()
        yield* store.tell(stream, told)
        assert.deepStrictEqual(yield* store.load(stream), [told])
        yield* store.sent(stream, told.id)
        assert.deepStrictEqual(yield* store.load(stream), [{ ...told, sent: true }])
      }))

    it.effect("knows what is over: resumed, or without a dead letter; not what only a process knows", () =>
      Effect.gen(function*() {
        const [store, endpoints, states] = [yield* NoticeStore, yield* EndpointStore, yield* EndpointStates]
        const [parked, subscriptions] = [yield* ParkedDeliveries, yield* SubscriptionStore]
        const endpoint = () => Effect.map(subscriptions.subscribe({ url: `http://${randomUUID()}/`, schema: "", table: "" }, []), (row) => row.endpointId)
        const [gone, full, withDead, other] = [yield* endpoint(), yield* endpoint(), yield* endpoint(), yield* endpoint()]
        yield* states.disable(stream, gone, "410 Gone")
        yield* states.suspend(stream, full, "10 GiB wait")
        yield* parked.write(stream, [dead(withDead, 1), dead(withDead, 2), dead(other, 3)])
        const tell = (kind: ToldNotice["kind"], endpointId: string | undefined) => store.tell(stream, notice({ kind, endpointId }))
        const began = Effect.all([
          tell("endpoint_disabled", gone), tell("endpoint_suspended", full), tell("first_dead_letter", withDead), tell("barrier_waiting", withDead),
          tell("slot_near_loss", undefined)
        ])
        yield* began
        assert.deepStrictEqual(yield* store.ended(stream), [])
        yield* endpoints.update(gone, { paused: false })
        yield* endpoints.update(full, { paused: false })
        yield* parked.remove(stream, withDead, [dead(withDead, 1).id])
        const kinds = (all: ReadonlyArray<{ readonly kind: string; readonly endpointId: string | undefined }>) =>
          all.map(({ endpointId, kind }) => `${kind} ${endpointId}`).toSorted()
        assert.deepStrictEqual(kinds(yield* store.ended(stream)), [`endpoint_disabled ${gone}`, `endpoint_suspended ${full}`])
        yield* parked.remove(stream, withDead, [dead(withDead, 2).id])
        assert.deepStrictEqual(kinds(yield* store.ended(stream)), [`first_dead_letter ${withDead}`])
        assert.deepStrictEqual(yield* store.ended(stream), [])
        assert.deepStrictEqual(yield* began, [true, true, true, false, false])
      }))

    it.effect("whatever was told of an endpoint is over when that ended", () =>
      Effect.gen(function*() {
        const [store, subscriptions, stream] = [yield* NoticeStore, yield* SubscriptionStore, newStream()]
        const key = { url: `http://${randomUUID()}/`, schema: "", table: "" }
        const { endpointId } = yield* subscriptions.subscribe(key, [])
        const kinds = ["barrier_waiting", "endpoint_disabled", "first_dead_letter"] as const
        const tell = (kind: ToldNotice["kind"]) => store.tell(stream, notice({ kind, endpointId: kind === "slot_near_loss" ? undefined : endpointId }))
        yield* tell("barrier_waiting")
        yield* tell("slot_near_loss")
        assert.deepStrictEqual(yield* store.ended(stream), [])
        assert.isTrue(yield* subscriptions.unsubscribe(key))
        yield* Effect.forEach(kinds.slice(1), tell)
        assert.deepStrictEqual((yield* store.ended(stream)).map(({ kind }) => kind).toSorted(), [...kinds])
        assert.deepStrictEqual((yield* store.load(stream)).map(({ kind }) => kind), ["slot_near_loss"])
      }))
  })
