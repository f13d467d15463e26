import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EndpointStates } from "../../../src/services/EndpointStates.ts"
import * as EndpointStatesMemory from "../../../src/layers/memory/EndpointStatesMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import { suite } from "../../suites/EndpointStatesSuite.ts"

const layer = EndpointStatesMemory.layer.pipe(Layer.provideMerge(WebhookTables.layer()))
suite("memory", layer)

it.effect("who watches the endpoints sees what is disabled or suspended, and why", () =>
  Effect.gen(function*() {
    const [states, tables] = [yield* EndpointStates, yield* WebhookTables.WebhookTables]
    const stream = { systemIdentifier: "1", slotName: "s" }
    const [a, b] = ["http://a/", "http://b/"].map((url) => tables.subscribe(url, "", "", []).endpointId) as [string, string]
    yield* states.disable(stream, a, "HTTP 410")
    yield* states.suspend(stream, b, "10 GiB wait")
    const shown = (id: string) => {
      const { paused, pausedReason, suspended } = tables.endpoints.get(id)!
      return [paused, pausedReason, suspended]
    }
    assert.deepStrictEqual(shown(a), [true, "HTTP 410", undefined])
    assert.deepStrictEqual(shown(b), [true, "10 GiB wait", true])
  }).pipe(Effect.provide(layer)))
