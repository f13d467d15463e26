/** The contract of `DeliveryCommands`, run once per implementation; `reads`: makes this process the one that reads the stream. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { type CommandRequest, DeliveryCommands } from "../../src/services/DeliveryCommands.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `commands_${streams++}` })
const request = (more: Partial<CommandRequest> = {}): CommandRequest => ({
  kind: "retry", selector: { state: "dead" }, target: undefined, rate: undefined, by: "an operator", ...more
})

export const suite = <E, R>(name: string, layer: Layer.Layer<DeliveryCommands | R, E>, reads: (stream: StreamId) => Effect.Effect<void, unknown, R>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`DeliveryCommands (${name})`, (it) => {
    it.effect("one after another, oldest first; one that was begun goes on where it was", () =>
      Effect.gen(function*() {
        const commands = yield* DeliveryCommands
        const stream = newStream()
        yield* Effect.orDie(reads(stream))
        const selector = { endpointId: "10000000-0000-0000-0000-000000000000", table: "public.users", key: [{ column: "id", value: "a secret value" }], fromMs: 5, toMs: 6, ids: ["x"] }
        const target = Redacted.make("http://user:password@127.0.0.1:7/path?token=1")
        const first = yield* commands.add(stream, request({ kind: "replay", selector, target, rate: 7 }))
        const second = yield* commands.add(stream, request())
        const place = { phase: "logged" as const, after: { endpointId: "e", commitLsn: "0/1", ordinal: 5, id: "x" } }
        const begun = yield* commands.next(stream)
        assert.deepStrictEqual([begun?.id, begun?.kind, begun?.selector, begun?.rate, begun?.place], [first, "replay", selector, 7, undefined])
        assert.strictEqual(Redacted.value(begun!.target!), Redacted.value(target))
        assert.isTrue(yield* commands.progress(stream, first, { place, done: 3, skipped: 1, note: "half" }))
        const again = yield* commands.next(stream)
        assert.deepStrictEqual([again?.id, again?.place, again?.done, again?.skipped, again?.note], [first, place, 3, 1, "half"])
        yield* commands.end(stream, first, "done", { place, done: 4, skipped: 1, note: "" })
        assert.strictEqual((yield* commands.next(stream))?.id, second)
        const seen = yield* commands.get(stream, first)
        assert.deepStrictEqual([seen?.state, seen?.done, seen?.targetHost, seen?.by], ["done", 4, "127.0.0.1:7", "an operator"])
        assert.isNumber(seen?.endedAtMs)
        for (const secret of ["secret", "password", "token"]) assert.notInclude(JSON.stringify(seen), secret)
        assert.deepStrictEqual((yield* commands.list(stream, 10)).map(({ id }) => id), [second, first])
        assert.deepStrictEqual((yield* commands.list(stream, 1)).map(({ id }) => id), [second])
      }))

    it.effect("a cancelled one stops at its next step, and one that ended stays as it is", () =>
      Effect.gen(function*() {
        const commands = yield* DeliveryCommands
        const [stream, other] = [newStream(), newStream()]
        yield* Effect.orDie(reads(stream))
        const id = yield* commands.add(stream, request({ kind: "purge" }))
        yield* commands.next(stream)
        assert.isFalse(yield* commands.cancel(other, id))
        assert.isTrue(yield* commands.cancel(stream, id))
        assert.isFalse(yield* commands.progress(stream, id, { place: undefined, done: 1, skipped: 0, note: "" }))
        yield* commands.end(stream, id, "done", { place: undefined, done: 1, skipped: 0, note: "" })
        assert.strictEqual((yield* commands.get(stream, id))?.state, "cancelled")
        assert.isFalse(yield* commands.cancel(stream, id))
        assert.isUndefined(yield* commands.next(stream))
        assert.isUndefined(yield* commands.get(other, id))
        assert.isUndefined(yield* commands.get(stream, 999_999_999))
      }))
  })
