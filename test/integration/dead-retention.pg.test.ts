import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DeadDeliveriesPg from "../../src/layers/postgres/store/DeadDeliveriesPg.ts"
import * as DeadRetention from "../../src/layers/postgres/store/DeadRetention.ts"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import * as StreamWriters from "../../src/layers/postgres/store/StreamWriters.ts"
import { DeadDeliveries } from "../../src/services/DeadDeliveries.ts"
import { SequenceRanges } from "../../src/services/SequenceRanges.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("dead_retention")
const layer = Layer.mergeAll(DeadDeliveriesPg.layer, SequenceRangesPg.layer, StreamWriters.layer).pipe(Layer.provideMerge(migratedStore(database.url)))
const endpointId = "10000000-0000-0000-0000-000000000000"

it.live("removes what is older than the retention, batch by batch, and keeps account of its numbers", () =>
  Effect.gen(function*() {
    const [dead, ranges] = [yield* DeadDeliveries, yield* SequenceRanges]
    const stream = { systemIdentifier: "1", slotName: "s" }
    database.psql(`INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at, attempts, retries,
        sequence, epoch, table_name, kind, selected_by, keys, body, died_at)
      SELECT '1/s', '${endpointId}', n::text, '0/1', n, CASE WHEN n % 10 = 0 THEN 'waiting' ELSE 'dead' END, now(), 1, 1, n, 'e', '', 'I', '', '', '',
        CASE WHEN n % 10 = 0 THEN NULL WHEN n <= 1200 THEN now() - interval '31 days' ELSE now() - interval '29 days' END
      FROM generate_series(1, 1210) n`)
    // One that cannot be recorded stays: its row is removed by a later run.
    const refused = yield* Effect.exit(DeadRetention.removeExpired(dead, { ...ranges, add: () => Effect.die("no") }, stream, Date.now() - 30 * 86_400_000))
    assert.strictEqual(refused._tag, "Failure")
    assert.strictEqual(database.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim(), "1210")
    assert.strictEqual(yield* DeadRetention.removeExpired(dead, ranges, stream, Date.now() - 30 * 86_400_000), 1080)
    assert.strictEqual(database.psql("SELECT count(*), min(sequence) FROM pgstream.webhook_deliveries").trim(), "130|10")
    const kept = yield* ranges.list(stream, endpointId)
    assert.strictEqual(kept.reduce((sum, { first, last }) => sum + last - first + 1, 0), 1080)
    assert.deepStrictEqual(kept[0], { endpointId, epoch: "e", state: "purged", first: 1, last: 9 })
  }).pipe(Effect.provide(layer)))

it.live("kept for ever: rows stay, and ranges of endpoints that ended go after 30 days all the same", () =>
  Effect.gen(function*() {
    const ended = "20000000-0000-0000-0000-000000000000"
    database.psql(`
      INSERT INTO pgstream.webhook_endpoints (id, url) VALUES ('${endpointId}', 'http://there/');
      INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at, attempts, retries,
        sequence, epoch, table_name, kind, selected_by, keys, body, died_at)
      VALUES ('1/ever', '${endpointId}', 'old', '0/1', 1, 'dead', now(), 1, 1, 1, 'e', '', 'I', '', '', '', now() - interval '900 days');
      INSERT INTO pgstream.webhook_sequence_ranges (stream, endpoint_id, epoch, state, first, last, updated_at)
      SELECT '1/ever', e::uuid, 'e', 'withdrawn', first, first, now() - make_interval(days => days)
      FROM unnest(ARRAY['${endpointId}', '${ended}']) e, (VALUES (1, 31), (9, 29)) r(first, days)`)
    const round = yield* DeadRetention.make.pipe(
      Effect.provideService(NotifierSettings, { ...notifierDefaults, deadRetentionMs: 0 })
    )
    yield* round("1/ever", Date.now())
    assert.strictEqual(database.psql("SELECT count(*) FROM pgstream.webhook_deliveries WHERE stream = '1/ever'").trim(), "1")
    const left = yield* (yield* SequenceRanges).list({ systemIdentifier: "1", slotName: "ever" }, undefined)
    assert.deepStrictEqual(left.map((range) => [range.endpointId, range.first]), [[endpointId, 1], [endpointId, 9], [ended, 9]])
  }).pipe(Effect.provide(layer)))
