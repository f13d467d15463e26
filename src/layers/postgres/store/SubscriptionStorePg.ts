/**
 * Subscriptions in `pgstream.webhook_subscriptions`. Endpoints are the triggers' work (migrations/store). A store
 * that does not answer is an error here, not a wait: a client waits for the answer.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type { ChangeKind } from "../../../domain/Change.ts"
import type { Subscription } from "../../../domain/Subscription.ts"
import { SubscriptionStore, SubscriptionStoreError } from "../../../services/SubscriptionStore.ts"
import { StoreSql } from "../Sql.ts"
import * as StoreHints from "./StoreHints.ts"
import { isUnavailable, withoutValues } from "./StoreRetry.ts"

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

const timedOut = new SqlError({
  reason: new ConnectionError({
    cause: new Error("timeout"),
    message: `no answer within ${TIMEOUT}`,
    operation: "execute"
  })
})

/** Another session did the opposite in the same moment: the statement is whole, and may be sent again. */
const collided = (error: SqlError): boolean =>
  error.reason._tag === "DeadlockError" || error.reason._tag === "SerializationError"

const operation = <A>(name: SubscriptionStoreError["operation"], work: Effect.Effect<A, SqlError>) =>
  work.pipe(
    Effect.retry({ times: 3, while: collided }),
    Effect.timeoutOrElse({ duration: TIMEOUT, orElse: () => Effect.fail(timedOut) }),
    Effect.mapError((error) =>
      new SubscriptionStoreError({ operation: name, unavailable: isUnavailable(error), cause: withoutValues(error) })
    )
  )

const COLUMNS = `id, endpoint_id, url, schema_name, table_name, event_types,
  round(extract(epoch FROM created_at) * 1000000)::bigint AS created_at_us`

export const make = Effect.gen(function*() {
  const sql = yield* StoreSql
  const { hints } = yield* StoreHints.StoreHints
  const columns = sql.literal(COLUMNS)
  return SubscriptionStore.of({
    list: operation("list", sql<SubscriptionRow>`
      SELECT ${columns} FROM pgstream.webhook_subscriptions s ORDER BY s.created_at, s.id`
    ).pipe(Effect.map((rows) => rows.map(subscriptionOf))),
    subscribe: ({ url, schema, table }, eventTypes) =>
      operation("subscribe", sql<SubscriptionRow>`
        INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types)
        VALUES (${url}, ${schema}, ${table}, nullif(${eventTypes}::text[], '{}'))
        ON CONFLICT (url, schema_name, table_name) DO UPDATE SET event_types = excluded.event_types
        RETURNING ${columns}`
      ).pipe(Effect.map((rows) => subscriptionOf(rows[0]!)), Effect.tap(StoreHints.notify(sql))),
    unsubscribe: ({ url, schema, table }) =>
      operation("unsubscribe", sql`
        DELETE FROM pgstream.webhook_subscriptions
        WHERE url = ${url} AND schema_name = ${schema} AND table_name = ${table} RETURNING 1 AS gone`
      ).pipe(
        Effect.map((rows) => rows.length > 0),
        Effect.tap((gone) => (gone ? StoreHints.notify(sql) : Effect.void))
      ),
    hints
  })
})

export const layer: Layer.Layer<SubscriptionStore, never, StoreSql> = Layer.effect(SubscriptionStore, make).pipe(
  Layer.provide(StoreHints.layer)
)
