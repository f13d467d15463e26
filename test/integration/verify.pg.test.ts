/** Numbers in the store: each in its place, also while it is on its way from one to another. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import * as Ranges from "../../src/domain/Ranges.ts"
import * as Numbers from "../../src/domain/Verify.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import * as VerifyPg from "../../src/layers/postgres/store/VerifyPg.ts"
import { StoreSql } from "../../src/layers/postgres/Sql.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { Segments } from "../../src/services/Segments.ts"
import { SequenceRanges } from "../../src/services/SequenceRanges.ts"
import { Verify } from "../../src/services/Verify.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("verify")
const layer = VerifyPg.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(ParkedDeliveriesPg.layer, SegmentsPg.layer, SequenceRangesPg.layer)),
  Layer.provideMerge(migratedStore(database.url))
)
const stream = { systemIdentifier: "1", slotName: "verify" }
const row = (endpointId: string, n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId, id: `id-${n}-${more.epoch ?? "now"}`, sequence: n, epoch: "now", commitLsn: n, ordinal: 1, table: "public.t", kind: "I", body: Buffer.from("{}"), keys: [],
  selectedBy: [], attempts: 1, state: "waiting", dueAtMs: 0, retries: 0, lastError: undefined, ...more
})
const event = (endpoint: string, n: number) => ({ ...row(endpoint, n), targets: [{ endpointId: endpoint, epoch: "now", sequence: n, selectedBy: [], keys: [] }] })

it.layer(layer, { excludeTestServices: true })("verify", (it) => {
  it.effect("given = delivered + waiting + dead + suspended + withdrawn + purged, by the epoch in force", () =>
    Effect.gen(function*() {
      const [sql, parked, segments, ranges] = [yield* StoreSql, yield* ParkedDeliveries, yield* Segments, yield* SequenceRanges]
      const endpoint = randomUUID()
      yield* sql`INSERT INTO pgstream.webhook_endpoints (id, url) VALUES (${endpoint}::uuid, 'http://user:hidden@localhost/')`
      yield* sql`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, count, epoch) VALUES ('1/verify', ${endpoint}::uuid, 100, 'now')`
      yield* segments.open(stream, 0)
      // 91 and 92 wait in a segment; 92 is a row, too: on its way. 101 is above the checkpoint.
      yield* segments.append(stream, [91, 92, 101].map((n) => event(endpoint, n)))
      yield* parked.write(stream, [
        ...[10, 11, 12].map((n) => row(endpoint, n)), row(endpoint, 92), ...[20, 22].map((n) => row(endpoint, n, { state: "dead" })),
        row(endpoint, 5, { epoch: "before" }), row(endpoint, 0, { id: "s-copied" })
      ])
      const range = (state: "withdrawn" | "suspended" | "purged", first: number, last: number, epoch = "now") => ({ endpointId: endpoint, epoch, state, first, last })
      yield* ranges.add(stream, [range("suspended", 30, 39), range("withdrawn", 40, 40), range("purged", 50, 51), range("purged", 60, 69, "before")])
      const [known, ...others] = yield* (yield* Verify).known(stream, undefined)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual([known!.endpointId, known!.given, known!.epoch, known!.earlier], [endpoint, 100, "now", 1])
      const { accounts, delivered } = Numbers.balance(known!)
      const text = Object.fromEntries(Object.entries(accounts).map(([state, numbers]) => [state, Ranges.format(numbers)]))
      assert.deepStrictEqual(text, { waiting: "10-12, 91-92", dead: "20, 22", suspended: "30-39", withdrawn: "40", purged: "50-51" })
      assert.strictEqual(Ranges.size(delivered), 100 - 5 - 2 - 10 - 1 - 2)
      assert.deepStrictEqual(yield* (yield* Verify).known(stream, randomUUID()), [])
      assert.deepStrictEqual(yield* (yield* Verify).known({ ...stream, slotName: "other" }, undefined), [])
    }))
})
