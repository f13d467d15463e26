/**
 * Subscriptions in `pgstream.webhook_subscriptions`. Endpoints are the triggers' work (migrations/store). A store
 * that does not answer is an error here, not a wait: a client waits for the answer.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type { ChangeKind } from "../../../domain/Change.ts"
import type { Subscription, SubscriptionId } from "../../../domain/Subscription.ts"
import { SubscriptionSettings } from "../../../services/Settings.ts"
import {
  COUNTED_DELIVERIES, SubscriptionStore, SubscriptionStoreError, type SubscriptionKey, TooManySubscriptions
} from "../../../services/SubscriptionStore.ts"
import { StoreSql } from "../Sql.ts"
import * as StoreHints from "./StoreHints.ts"
import { answering } from "./StoreRetry.ts"

/** Longer than any of these statements takes; a request of the API has its own, longer limit. */
const TIMEOUT = "10 seconds"

interface SubscriptionRow {
  readonly id: string
  readonly endpoint_id: string
  readonly url: string
  readonly schema_name: string
  readonly table_name: string
  readonly event_types: ReadonlyArray<string | null> | null
  readonly created_at_us: bigint
}

/** A NULL among the types is no kind, and must not become the empty list that means all. */
const subscriptionOf = (row: SubscriptionRow): Subscription => ({
  id: row.id,
  endpointId: row.endpoint_id,
  url: row.url,
  schema: row.schema_name,
  table: row.table_name,
  eventTypes: (row.event_types ?? []).map((kind) => kind ?? "") as ReadonlyArray<ChangeKind>,
  createdAtUs: Number(row.created_at_us)
})

const operation = <A, E>(name: SubscriptionStoreError["operation"], work: Effect.Effect<A, E | SqlError>) =>
  answering(TIMEOUT, work, (why) => new SubscriptionStoreError({ operation: name, ...why }))

const COLUMNS = `id, endpoint_id, url, schema_name, table_name, event_types,
  round(extract(epoch FROM created_at) * 1000000)::bigint AS created_at_us`

export const make = Effect.gen(function*() {
  const sql = yield* StoreSql
  const { hints } = yield* StoreHints.StoreHints
  const { max } = yield* SubscriptionSettings
  const columns = sql.literal(COLUMNS)

  /** One row at a time, so that their number is exact; plain SQL of others is not held to it. */
  const subscribe = Effect.fnUntraced(function*({ schema, table, url }: SubscriptionKey, eventTypes: ReadonlyArray<ChangeKind>) {
    yield* sql`SELECT pg_advisory_xact_lock(hashtext('pgstream'), hashtext('webhook_subscriptions'))`
    const [there] = yield* sql<{ readonly known: boolean; readonly rows: number }>`
      SELECT count(*)::int AS rows,
        coalesce(bool_or(url = ${url} AND schema_name = ${schema} AND table_name = ${table}), false) AS known
      FROM pgstream.webhook_subscriptions`
    if (there?.known !== true && (there?.rows ?? 0) >= max) return yield* new TooManySubscriptions({ max })
    const [row] = yield* sql<SubscriptionRow>`
      INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types)
      VALUES (${url}, ${schema}, ${table}, nullif(${eventTypes}::text[], '{}'))
      ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = excluded.event_types
      RETURNING ${columns}`
    return subscriptionOf(row!)
  })

  const remove = Effect.fnUntraced(function*(id: SubscriptionId) {
    const [row] = yield* sql<SubscriptionRow>`
      DELETE FROM pgstream.webhook_subscriptions WHERE id = ${id}::uuid RETURNING ${columns}`
    if (row === undefined) return undefined
    const endpoint = row.endpoint_id
    const [others] = yield* sql<{ readonly left: boolean }>`
      SELECT EXISTS (SELECT FROM pgstream.webhook_subscriptions WHERE endpoint_id = ${endpoint}::uuid) AS left`
    const endpointEnded = others?.left !== true
    const [found] = yield* sql<{ readonly withdrawn: number }>`
      SELECT count(*) FILTER (WHERE ${endpointEnded}::boolean OR d.selected_by = ${id})::int AS withdrawn FROM (
        SELECT selected_by FROM pgstream.webhook_deliveries
        WHERE stream IN (SELECT stream FROM pgstream.checkpoint) AND endpoint_id = ${endpoint}::uuid
        LIMIT ${COUNTED_DELIVERIES}::int) d`
    return { subscription: subscriptionOf(row), endpointEnded, withdrawn: found?.withdrawn ?? 0 }
  })

  const hinted = <A, E>(work: Effect.Effect<A, E>) =>
    Effect.tap(work, (result) => (result === undefined ? Effect.void : StoreHints.notify(sql)))

  return SubscriptionStore.of({
    list: operation("list", sql<SubscriptionRow>`
      SELECT ${columns} FROM pgstream.webhook_subscriptions s ORDER BY s.created_at, s.id`
    ).pipe(Effect.map((rows) => rows.map(subscriptionOf))),
    subscribe: (key, eventTypes) => hinted(operation("subscribe", sql.withTransaction(subscribe(key, eventTypes)))),
    update: (id, eventTypes) =>
      hinted(operation("update", sql<SubscriptionRow>`
        UPDATE pgstream.webhook_subscriptions SET event_types = nullif(${eventTypes}::text[], '{}')
        WHERE id = ${id}::uuid RETURNING ${columns}`
      ).pipe(Effect.map(([row]) => (row === undefined ? undefined : subscriptionOf(row))))),
    unsubscribe: ({ url, schema, table }) =>
      operation("unsubscribe", sql`
        DELETE FROM pgstream.webhook_subscriptions
        WHERE url = ${url} AND schema_name = ${schema} AND table_name = ${table} RETURNING 1 AS gone`
      ).pipe(
        Effect.map((rows) => rows.length > 0),
        Effect.tap((gone) => (gone ? StoreHints.notify(sql) : Effect.void))
      ),
    remove: (id) => hinted(operation("remove", sql.withTransaction(remove(id)))),
    hints
  })
})

export const layer: Layer.Layer<SubscriptionStore, never, StoreSql> = Layer.effect(SubscriptionStore, make).pipe(
  Layer.provide(StoreHints.layer)
)
