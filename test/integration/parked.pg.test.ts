import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import * as DeadDeliveriesPg from "../../src/layers/postgres/store/DeadDeliveriesPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import { StoreSql } from "../../src/layers/postgres/Sql.ts"
import { suite } from "../suites/ParkedDeliveriesSuite.ts"
import { testDatabase } from "../support/database.ts"
import { startServer } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("parked")
const store = migratedStore(database.url)

suite("postgres", Layer.mergeAll(ParkedDeliveriesPg.layer, DeadDeliveriesPg.layer).pipe(Layer.provide(store)))

const stream = { systemIdentifier: "1", slotName: "s" }
const parked = (n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId: "10000000-0000-0000-0000-000000000000", id: `id-${n}`, body: Buffer.from("a secret value"), keys: [], sequence: n, epoch: "",
  selectedBy: [], commitLsn: n, ordinal: n, table: "public.t", kind: "I", attempts: 0, state: "waiting", dueAtMs: 0, retries: 0,
  lastError: undefined, ...more
})

it.layer(ParkedDeliveriesPg.layer.pipe(Layer.provideMerge(store)), { excludeTestServices: true })("ParkedDeliveries in Postgres", (it) => {
  it.effect("a scan reads along the index, past any number of dead ones", () =>
    Effect.gen(function*() {
      const sql = yield* StoreSql
      yield* sql`INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at,
          attempts, retries, sequence, table_name, kind, selected_by, keys, body)
        SELECT '1/plan', '10000000-0000-0000-0000-000000000000', n::text, ('0/' || to_hex(n))::pg_lsn, n,
          CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'dead' END, now(), 0, 0, n, '', 'I', '', '', ''
        FROM generate_series(1, 20000) n`
      yield* sql`ANALYZE pgstream.webhook_deliveries`
      const plan = yield* sql<{ readonly "QUERY PLAN": string }>`
        EXPLAIN SELECT * FROM pgstream.webhook_deliveries
        WHERE stream = '1/plan' AND endpoint_id = '10000000-0000-0000-0000-000000000000'::uuid AND state = 'waiting'
          AND (commit_lsn, ordinal) > ('0/0'::pg_lsn, 0) ORDER BY commit_lsn, ordinal FETCH FIRST 10 ROWS WITH TIES`
      const text = plan.map((row) => row["QUERY PLAN"]).join("\n")
      assert.include(text, "webhook_deliveries_waiting")
      assert.notInclude(text, "Sort")
    }))

  it.effect("updates and removes find each row by its key, whatever the statistics say", () =>
    Effect.gen(function*() {
      const deliveries = yield* ParkedDeliveries
      const sql = yield* StoreSql
      yield* sql`TRUNCATE pgstream.webhook_deliveries`
      yield* sql`ALTER TABLE pgstream.webhook_deliveries SET (autovacuum_enabled = false)`
      const rows = Array.from({ length: 10_000 }, (_, n) => parked(n))
      yield* deliveries.write(stream, rows)
      const some = rows.filter((_, i) => i % 500 === 0)
      const reads = Effect.map(
        sql<{ readonly n: bigint }>`
          SELECT (seq_tup_read + idx_tup_fetch)::bigint AS n FROM pg_stat_xact_user_tables WHERE relname = 'webhook_deliveries'`,
        (found) => Number(found[0]?.n)
      )
      yield* sql.withTransaction(Effect.gen(function*() {
        const before = yield* reads
        yield* deliveries.update(stream, some)
        const updated = (yield* reads) - before
        yield* deliveries.remove(stream, some[0]!.endpointId, some.map((row) => row.id))
        const removed = (yield* reads) - before - updated
        for (const count of [updated, removed]) {
          assert.isAtLeast(count, some.length)
          assert.isAtMost(count, 3 * some.length)
        }
      }))
    }))

  it.effect("a start reads the keys of what waits, not all that died before", () =>
    Effect.gen(function*() {
      const deliveries = yield* ParkedDeliveries
      const sql = yield* StoreSql
      yield* sql`TRUNCATE pgstream.webhook_deliveries`
      yield* sql`INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at,
          attempts, retries, sequence, table_name, kind, selected_by, keys, body)
        SELECT '1/s', ('10000000-0000-0000-0000-00000000000' || n % 10)::uuid, n::text, ('0/' || to_hex(n))::pg_lsn, n,
          CASE WHEN n % 1000 = 0 THEN 'waiting' ELSE 'dead' END, now(), 0, 0, n, '', 'I', '', '', ''
        FROM generate_series(1, 20000) n`
      yield* sql`ANALYZE pgstream.webhook_deliveries`
      const reads = Effect.map(
        sql<{ readonly n: bigint }>`
          SELECT (seq_tup_read + idx_tup_fetch)::bigint AS n FROM pg_stat_xact_user_tables WHERE relname = 'webhook_deliveries'`,
        (found) => Number(found[0]?.n)
      )
      yield* sql.withTransaction(Effect.gen(function*() {
        const before = yield* reads
        const page = yield* deliveries.loadKeys(stream, undefined, 5000, 19_901)
        assert.deepStrictEqual([page.length, page.filter(({ state }) => state === "waiting").length], [119, 20])
        assert.isAtMost((yield* reads) - before, 500)
      }))
      yield* sql`TRUNCATE pgstream.webhook_deliveries`
    }))

  it.effect("an error holds no value of the row", () =>
    Effect.gen(function*() {
      const deliveries = yield* ParkedDeliveries
      const exit = yield* Effect.exit(deliveries.write(stream, [parked(1, { state: "nonsense" as "dead" })]))
      assert.isTrue(Exit.isFailure(exit))
      const shown = inspect(exit, { depth: 20, showHidden: true, getters: true })
      assert.include(shown, "23514")
      assert.notInclude(shown, "secret")
      assert.notInclude(shown, Buffer.from("a secret value").toString("hex"))
    }))
})

it.live("a write waits while the server is away, and is there when it is back", () =>
  Effect.promise(async () => {
    const server = await startServer()
    try {
      await Effect.runPromise(
        Effect.gen(function*() {
          const deliveries = yield* ParkedDeliveries
          yield* deliveries.write(stream, [parked(1)])
          yield* Effect.promise(() => server.crash())
          const writing = yield* Effect.forkChild(deliveries.write(stream, [parked(2, { id: randomUUID() })]))
          yield* Effect.promise(() => server.start())
          yield* Fiber.join(writing)
          assert.strictEqual((yield* deliveries.scan(stream, parked(1).endpointId, undefined, 10)).length, 2)
        }).pipe(Effect.provide(ParkedDeliveriesPg.layer.pipe(Layer.provide(migratedStore(server.url())))))
      )
    } finally {
      await server.stop()
    }
  }))
