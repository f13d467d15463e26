import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import * as DeliveryAdminPg from "../../src/layers/postgres/store/DeliveryAdminPg.ts"
import * as DeliveryLogPg from "../../src/layers/postgres/store/DeliveryLogPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import * as VerifyPg from "../../src/layers/postgres/store/VerifyPg.ts"
import * as StreamId from "../../src/domain/StreamId.ts"
import { Segments } from "../../src/services/Segments.ts"
import { Verify } from "../../src/services/Verify.ts"
import { suite, urlOf } from "../suites/VerifySuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("verify")
const layer = Layer.mergeAll(VerifyPg.layer, DeliveryAdminPg.layer, DeliveryLogPg.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(ParkedDeliveriesPg.layer, SegmentsPg.layer, SequenceRangesPg.layer)),
  Layer.provide(migratedStore(database.url))
)

const given = (stream: StreamId.StreamId, endpoint: string, count: number, epoch: string) =>
  Effect.sync(() => database.psql(`
    INSERT INTO pgstream.webhook_endpoints (id, url) VALUES ('${endpoint}', '${urlOf(endpoint)}');
    INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, count, epoch) VALUES ('${StreamId.format(stream)}', '${endpoint}', ${count}, '${epoch}')`))

suite("postgres", layer, given)

/** For whom the segments were asked. */
const asked: Array<string> = []
const watched = Layer.effect(Segments, Effect.map(Segments, (segments) => ({
  ...segments,
  numbers: (stream: StreamId.StreamId, endpoint: string) => Effect.suspend(() => {
    asked.push(endpoint)
    return segments.numbers(stream, endpoint)
  })
}))).pipe(Layer.provide(SegmentsPg.layer))

it.live("of many endpoints only those that are behind are looked for in segments", () =>
  Effect.gen(function*() {
    const [segments, stream, verify] = [yield* Segments, { systemIdentifier: "1", slotName: "many" }, yield* Verify]
    const endpoints = Array.from({ length: 20 }, () => randomUUID())
    for (const [n, endpoint] of endpoints.entries()) yield* given(stream, endpoint, n + 1, "now")
    const behind = endpoints[7]!
    yield* segments.open(stream, 0)
    yield* segments.append(stream, [{
      id: "id-3", body: Buffer.from("{}"), commitLsn: 3, ordinal: 1, table: "public.t", kind: "I",
      targets: [{ endpointId: behind, epoch: "now", sequence: 3, selectedBy: [], keys: [] }]
    }])
    const found = yield* verify.known(stream, undefined)
    assert.deepStrictEqual(asked, [behind])
    assert.deepStrictEqual(found.map(({ endpointId }) => endpointId), endpoints.toSorted())
    assert.deepStrictEqual(found.flatMap(({ accounts, endpointId }) => (accounts.waiting ?? []).map((range) => [endpointId, range.first, range.last])), [[behind, 3, 3]])
  }).pipe(Effect.provide(VerifyPg.layer.pipe(Layer.provideMerge(Layer.mergeAll(watched, SequenceRangesPg.layer)), Layer.provide(migratedStore(database.url))))))
