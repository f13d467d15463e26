/**
 * The definitions that the stream gives are those of the table, after every transaction: random statements of users,
 * read back through both plugins.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import type { Item } from "../../src/domain/Chunk.ts"
import * as Decoder from "../../src/domain/Decoder.ts"
import type { Subscription } from "../../src/domain/Subscription.ts"
import * as SubscriptionCache from "../../src/layers/pipeline/SubscriptionCache.ts"
import * as MigrationsStore from "../../src/layers/postgres/store/MigrationsStore.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { frameOf, peek, type Plugin, runSql } from "../fixtures/peek.ts"
import { testDatabase } from "../support/database.ts"

const TRANSACTIONS = Number(process.env["RUNS"] ?? 80)
const SEED = Number(process.env["SEED"] ?? 17)

const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

/** One of the URLs is stored out of line (TOAST) and then left out of updates that do not change it. */
const script = (next: () => number): string => {
  const pick = <T>(of: ReadonlyArray<T>): T => of[Math.floor(next() * of.length)]!
  const url = () => pick(["'http://a/'", "'http://b/?x=''1'''", "'http://c/'", "(SELECT u FROM long_url)"])
  const table = () => pick(["''", "'t'", "'we\"ird, {tä}'"])
  const types = () => pick(["NULL", "'{}'::text[]", "'{I}'::text[]", "'{I,U,D}'::text[]", "ARRAY['M','a,b\"c\\']"])
  /** Postgres refuses TRUNCATE of a table with deferred triggers pending: only as a transaction's first statement. */
  const statement = (_: unknown, i: number): string => {
    const roll = next() * (i === 0 ? 1 : 0.95)
    if (roll < 0.45) {
      return `INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types) VALUES (${url()}, 'public', ${table()}, ${types()})
        ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = excluded.event_types`
    }
    if (roll < 0.6) return `UPDATE pgstream.webhook_subscriptions SET event_types = ${types()} WHERE url = ${url()}`
    if (roll < 0.75) {
      return `UPDATE pgstream.webhook_subscriptions s SET url = n.url FROM (SELECT ${url()} AS url) n WHERE s.url = ${url()} AND s.table_name = ${table()}
        AND NOT EXISTS (SELECT FROM pgstream.webhook_subscriptions o WHERE o.url = n.url AND o.table_name = s.table_name)`
    }
    if (roll < 0.95) return `DELETE FROM pgstream.webhook_subscriptions WHERE url = ${url()} AND table_name = ${table()}`
    return `TRUNCATE pgstream.webhook_subscriptions`
  }
  const transaction = () => {
    const statements = Array.from({ length: 1 + Math.floor(next() * 3) }, statement).join(";\n")
    return `BEGIN;\n${statements};\n${next() < 0.15 ? "ROLLBACK" : "COMMIT"};\n${STATE};`
  }
  return Array.from({ length: TRANSACTIONS }, transaction).join("\n")
}

const STATE = `SELECT coalesce(json_agg(json_build_object('id', id, 'endpointId', endpoint_id, 'url', url, 'schema', schema_name, 'table', table_name,
  'eventTypes', coalesce(event_types, '{}'), 'createdAtUs', round(extract(epoch FROM created_at) * 1000000)::bigint) ORDER BY id), '[]')
  FROM pgstream.webhook_subscriptions`

const byId = (rows: ReadonlyArray<Subscription>) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))

const database = testDatabase("subscriptions_stream")
const plugins: ReadonlyArray<Plugin> = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]

const server = () => ({ program: "psql", host: "127.0.0.1", port: database.port })

/** States of the table after each transaction that changed it, in order. */
let states: ReadonlyArray<string> | undefined
const prepare = async () => {
  if (states !== undefined) return states
  await Effect.runPromise(Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(database.url), "test"), MigrationsStore.run)))
  database.psql(`CREATE PUBLICATION fixture FOR ALL TABLES;
    CREATE TABLE long_url AS SELECT 'http://long/' || string_agg(md5(n::text), '') AS u FROM generate_series(1, 76) n`)
  for (const plugin of plugins) {
    database.psql(`SELECT pg_create_logical_replication_slot('${database.name}_${plugin}', '${plugin}')`)
  }
  const printed = runSql(server(), database.name, script(random(SEED))).trim().split("\n")
  states = printed.filter((state, i) => state !== (printed[i - 1] ?? "[]"))
  return states
}

describe("definitions of the stream", () => {
  for (const plugin of plugins) {
    it(`are those of the table after every transaction (${plugin}, seed ${SEED})`, async () => {
      const expected = await prepare()
      assert.isAbove(expected.length, TRANSACTIONS / 3)
      const decoder = Decoder.make(plugin, { maxFrameBytes: 1e9 })
      const items: Array<Item> = []
      for (const captured of peek(server(), database.name, `${database.name}_${plugin}`, plugin, inject("postgresVersion"))) {
        decoder.push(frameOf(captured), items)
      }
      const definitions = SubscriptionCache.make([], () => {})
      let before = "[]"
      const seen: Array<ReadonlyArray<Subscription>> = []
      for (const item of items) {
        if (item._tag === "Change") definitions.consume(item)
        if (item._tag !== "Commit") continue
        definitions.commit(item)
        const now = JSON.stringify(byId(definitions.current()))
        if (now !== before) seen.push(byId(definitions.current()))
        before = now
      }
      assert.deepStrictEqual(seen, expected.map((state) => JSON.parse(state) as ReadonlyArray<Subscription>))
    })
  }
})
