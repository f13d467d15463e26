import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EndpointStatesPg from "../../src/layers/postgres/store/EndpointStatesPg.ts"
import { EndpointStates } from "../../src/services/EndpointStates.ts"
import { suite } from "../suites/EndpointStatesSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("endpoint_states")
const layer = EndpointStatesPg.layer.pipe(Layer.provide(migratedStore(database.url)))

suite("postgres", layer)

it.live("keeps reason and time of the first stop, and makes the epoch from the seed", () =>
  Effect.gen(function*() {
    const states = yield* EndpointStates
    const id = "10000000-0000-0000-0000-000000000000"
    database.psql(`INSERT INTO pgstream.checkpoint (stream, epoch_seed) VALUES ('1/s', 'seed')`)
    const stream = { systemIdentifier: "1", slotName: "s" }
    yield* states.disable(stream, id, "HTTP 410\0")
    yield* states.disable(stream, id, "again")
    yield* states.suspend(stream, id, "10 GiB wait")
    assert.strictEqual(
      database.psql(`SELECT disabled_reason, disabled_at IS NOT NULL, suspended_reason, suspended_at IS NOT NULL, paused, count FROM pgstream.endpoint_streams WHERE stream = '1/s'`).trim(),
      "HTTP 410|t|10 GiB wait|t|f|0"
    )
    assert.strictEqual(
      database.psql(`SELECT epoch = left(encode(sha256('seed ${id}'), 'hex'), 16) FROM pgstream.endpoint_streams WHERE stream = '1/s'`).trim(), "t"
    )
  }).pipe(Effect.provide(layer)))
