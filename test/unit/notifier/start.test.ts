import { assert, it } from "vitest"
import * as Effect from "effect/Effect"
import type { Segments } from "../../../src/services/Segments.ts"
import { SimulatedSegments } from "../../support/SimulatedSegments.ts"
import { commit, endpoint, Harness, insert } from "./Harness.ts"

/** Remembers which segments were read, for whom. */
class Watched extends SimulatedSegments {
  readonly reads: Array<string> = []

  override service(...args: Parameters<SimulatedSegments["service"]>): Segments["Service"] {
    const service = super.service(...args)
    return {
      ...service,
      read: (stream, endpointId, from) =>
        Effect.tap(service.read(stream, endpointId, from), (found) =>
          Effect.sync(() => {
            if (found !== undefined) this.reads.push(`${endpointId} ${found.number}`)
          }))
    }
  }
}

it("a start reads the first segment of an endpoint once, and none of one that is paused", () => {
  const segments = new Watched()
  const before = new Harness({ endpoints: [endpoint("a", { paused: true }), endpoint("b", { paused: true })], segments })
  for (let n = 1; n <= 30; n++) {
    before.offer([insert(n, 0, `row${n}`), commit(n)])
    before.pass(100)
  }
  assert.deepStrictEqual(["a", "b"].map((id) => segments.ids(id).length), [30, 30])
  segments.reads.length = 0
  const after = new Harness({
    endpoints: [endpoint("a"), endpoint("b", { paused: true })], segments, store: before.store, position: before.position
  })
  after.pass(10_000)
  assert.strictEqual(new Set(after.sent.filter((sent) => sent.endpoint === "a").map(({ id }) => id)).size, 30)
  assert.deepStrictEqual(segments.reads, [...new Set(segments.reads)], "none twice")
  assert.isEmpty(segments.reads.filter((read) => read.startsWith("b")))
})
