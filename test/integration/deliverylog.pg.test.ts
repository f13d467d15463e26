/** The delivery log in Postgres: what it keeps, and what it keeps to. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { MAX_FAILURES_OF_ENDPOINT } from "../../src/domain/AttemptBuffer.ts"
import type { AttemptResult } from "../../src/domain/Delivery.ts"
import * as DeliveryLogPg from "../../src/layers/postgres/store/DeliveryLogPg.ts"
import * as DeliveryLogTrim from "../../src/layers/postgres/store/DeliveryLogTrim.ts"
import { StoreSql } from "../../src/layers/postgres/Sql.ts"
import { type Attempted, DeliveryLog } from "../../src/services/DeliveryLog.ts"
import { testDatabase } from "../support/database.ts"
import { eventually } from "../support/eventually.ts"
import { startServer } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("deliverylog")
const process = (url: string) => DeliveryLogPg.layer.pipe(Layer.provideMerge(migratedStore(url)))
const stream = { systemIdentifier: "1", slotName: "log" }
const attempted = (endpointId: string, n: number): Attempted => ({
  endpointId, id: `id-${n}`, sequence: n, epoch: "e", table: "public.t", kind: "I", body: Buffer.from("{}"), commitLsn: n, ordinal: 1, keys: [], attempts: 1
})
const accepted: AttemptResult = { _tag: "Accepted", status: 200 }
const refused: AttemptResult = { _tag: "Refused", status: 503, retryAfterMs: undefined, bodyStart: "a\0b" }
const numbers = (endpoint: string) =>
  database.psql(`SELECT string_agg(sequence::text, ',' ORDER BY at) FROM pgstream.webhook_successes WHERE endpoint_id = '${endpoint}'`).trim()
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i).join(",")
/** An endpoint without a row is one that ended: its successes are trimmed. */
const newEndpoint = (): string => {
  const id = randomUUID()
  database.psql(`INSERT INTO pgstream.webhook_endpoints (id, url) VALUES ('${id}', 'http://${id}.example/')`)
  return id
}

it.live("the last 100 successes of each endpoint, over restarts, in as many rows", () =>
  Effect.gen(function*() {
    yield* Effect.provide(Effect.void, migratedStore(database.url))
    const endpoint = newEndpoint()
    for (const [from, to] of [[1, 60], [61, 90], [91, 130], [131, 400]] as const) {
      // The end of a process writes what it has.
      yield* Effect.gen(function*() {
        const log = yield* DeliveryLog
        for (let n = from; n <= to; n++) log.attempted(stream, attempted(endpoint, n), accepted, 1_790_000_000_000 + n, 1)
      }).pipe(Effect.provide(Layer.fresh(process(database.url))))
      assert.strictEqual(numbers(endpoint), range(Math.max(1, to - 99), to))
    }
  }))

it.live("every failure, as a row or in the count of its endpoint", () =>
  Effect.gen(function*() {
    const endpoint = newEndpoint()
    yield* Effect.gen(function*() {
      const log = yield* DeliveryLog
      for (let n = 1; n <= MAX_FAILURES_OF_ENDPOINT + 40; n++) log.attempted(stream, attempted(endpoint, n), refused, Date.now(), 1)
    }).pipe(Effect.provide(Layer.fresh(process(database.url))))
    const found = database.psql(`SELECT count(*) FILTER (WHERE more = 0), sum(more), min(reason) FILTER (WHERE more > 0),
      min(encode(body_start, 'hex')) FROM pgstream.webhook_attempts WHERE endpoint_id = '${endpoint}'`)
    assert.strictEqual(found.trim(), `${MAX_FAILURES_OF_ENDPOINT}|40|40 more failures not kept|610062`)
  }))

it.live("failures go after the retention, and beyond the greatest number; successes with their endpoint", () =>
  Effect.gen(function*() {
    const sql = yield* StoreSql
    const [old, many, gone] = [newEndpoint(), newEndpoint(), randomUUID()]
    const log = yield* DeliveryLog
    log.attempted(stream, attempted(old, 1), refused, Date.now() - 10_000, 1)
    for (let n = 1; n <= 30; n++) log.attempted(stream, attempted(many, n), refused, Date.now(), 1)
    for (const endpoint of [gone, many]) log.attempted(stream, attempted(endpoint, 1), accepted, Date.now(), 1)
    const count = (endpoint: string, table = "attempts") =>
      Number(database.psql(`SELECT count(*) FROM pgstream.webhook_${table} WHERE endpoint_id = '${endpoint}'`))
    yield* eventually("it is written", Effect.sync(() => count(many) === 30 && count(gone, "successes") === 1))
    yield* DeliveryLogTrim.trim(sql, 60_000)
    assert.deepStrictEqual([count(old), count(many), count(gone, "successes"), count(many, "successes")], [1, 30, 0, 1])
    yield* DeliveryLogTrim.trim(sql, 5_000, 10)
    assert.deepStrictEqual([count(old), count(many)], [0, 10])
  }).pipe(Effect.provide(process(database.url))))

it.live("a store that is away costs nobody anything, and has what fitted when it is back", () =>
  Effect.promise(async () => {
    const server = await startServer()
    try {
      await Effect.runPromise(Effect.gen(function*() {
        const sql = yield* StoreSql
        const log = yield* DeliveryLog
        const endpoint = randomUUID()
        yield* Effect.promise(() => server.crash())
        for (let n = 1; n <= 20_000; n++) log.attempted(stream, attempted(endpoint, n), n % 2 === 0 ? accepted : refused, Date.now(), 1)
        yield* Effect.sleep("1500 millis")
        log.attempted(stream, attempted(endpoint, 20_001), refused, Date.now(), 1)
        yield* Effect.promise(() => server.start())
        const sum = Effect.map(
          sql<{ readonly n: bigint }>`SELECT count(*) FILTER (WHERE more = 0) + coalesce(sum(more), 0) AS n FROM pgstream.webhook_attempts`,
          ([row]) => Number(row?.n)
        ).pipe(Effect.orElseSucceed(() => 0))
        yield* eventually("every failure is accounted for", Effect.map(sum, (n) => n === 10_001))
      }).pipe(Effect.provide(process(server.url()))))
    } finally {
      await server.stop()
    }
  }))
