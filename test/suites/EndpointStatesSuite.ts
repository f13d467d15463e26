/** The contract of `EndpointStates`, run once per implementation. What is disabled or suspended shows in `Endpoints`. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import { EndpointStates } from "../../src/services/EndpointStates.ts"

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `states_${streams++}` })

export const suite = <E>(name: string, layer: Layer.Layer<EndpointStates, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`EndpointStates (${name})`, (it) => {
    it.effect("knows since when an endpoint fails, per stream, until it answers", () =>
      Effect.gen(function*() {
        const states = yield* EndpointStates
        const [stream, other, a, b] = [newStream(), newStream(), randomUUID(), randomUUID()]
        assert.deepStrictEqual(yield* states.failing(stream), new Map())
        yield* states.setFailing(stream, new Map([[a, 1_790_000_000_123], [b, 1_790_000_000_456]]))
        yield* states.setFailing(other, new Map([[a, 5]]))
        yield* states.setFailing(stream, new Map())
        assert.deepStrictEqual(yield* states.failing(stream), new Map([[a, 1_790_000_000_123], [b, 1_790_000_000_456]]))
        yield* states.setFailing(stream, new Map([[a, undefined], [b, 1_790_000_000_789], [randomUUID(), undefined]]))
        assert.deepStrictEqual(yield* states.failing(stream), new Map([[b, 1_790_000_000_789]]))
        assert.deepStrictEqual(yield* states.failing(other), new Map([[a, 5]]))
      }))

    it.effect("takes what is no endpoint any more", () =>
      Effect.gen(function*() {
        const states = yield* EndpointStates
        yield* states.disable(newStream(), randomUUID(), "HTTP 410")
        yield* states.suspend(newStream(), randomUUID(), "10 GiB wait")
      }))
  })
