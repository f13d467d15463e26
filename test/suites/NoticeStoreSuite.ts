/** The contract of `NoticeStore`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { NoticeStore, type ToldNotice } from "../../src/services/NoticeStore.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `notices_${streams++}` })
const notice = (more: Partial<ToldNotice> = {}): ToldNotice => ({
  id: randomUUID(), kind: "endpoint_disabled", endpointId: "10000000-0000-0000-0000-000000000000", message: "It's \"off\".",
  facts: { status: 410, why: "gone" }, beganAtMs: 1_790_000_000_123, sent: false, ...more
})

export const suite = <E>(name: string, layer: Layer.Layer<NoticeStore, E>) =>
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
  })
