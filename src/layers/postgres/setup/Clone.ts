/**
 * A clone must not call production (DESIGN.md "Endpoint and subscription").
 *
 * - A dump (another server, or another database of the same one) and a base backup come without the slot: the stream
 *   that owned an endpoint is another or a lost one, and `init`, which makes a slot, pauses that endpoint for its stream.
 * - A copied disk comes with the slot: it is known by the host:port pairs of the URL, which are kept with the
 *   checkpoint. None in common = every endpoint is paused. (`localhost` is not told apart.)
 * - `init --adopt` resumes them, and takes over what is parked for streams that are not of this database.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import type { StreamId } from "../../../domain/StreamId.ts"
import * as Stream from "../../../domain/StreamId.ts"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"

/** First words of every reason that is ours: `--adopt` resumes these and no others. */
export const REASON = "Is this a copy?"
/** Endpoints named one by one. */
const NAMED = 20
export const RESUME = "If this is the database that these endpoints belong to:   pgstream init --adopt"

/** `host:port` of each host of the URL, lower case; empty where the URL cannot be read. */
export const addressesOf = (url: Redacted.Redacted<string>): ReadonlyArray<string> => {
  const target = PostgresUrl.parse(url)
  return Result.isFailure(target)
    ? []
    : target.success.hosts.map(({ host, port }) => `${host.toLowerCase()}:${port}`)
}

export interface Here {
  readonly stream: StreamId
  readonly addresses: ReadonlyArray<string>
  readonly database: string
  /** Streams whose slots are in this database: they share its endpoints. This one only if its slot was there. */
  readonly live: ReadonlyArray<string>
}

export interface Named {
  readonly id: string
  readonly url: string
}

/**
 * Endpoints of another database or a lost stream: a stream that is not of this database has them, they were made
 * elsewhere (one that no stream had taken up when the dump was made), or a stream of this one has them paused as a
 * copy's; and no stream of this database has them in use.
 */
export const foreign = (
  store: PgClient.PgClient,
  live: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Named>, SqlError> =>
  store<Named>`
    WITH named AS (
      SELECT endpoint_id, stream FROM pgstream.endpoint_streams
      UNION SELECT endpoint_id, stream FROM pgstream.checkpoint_definitions
      UNION SELECT endpoint_id, stream FROM pgstream.webhook_deliveries
      UNION SELECT endpoint_id, stream FROM pgstream.webhook_segment_cursors
    ), owner AS (
      SELECT n.endpoint_id, n.stream = ANY(${live}::text[]) AND NOT EXISTS (SELECT FROM pgstream.endpoint_streams x
          WHERE x.stream = n.stream AND x.endpoint_id = n.endpoint_id AND x.paused AND starts_with(x.paused_reason, ${REASON})) AS uses
        FROM named n
    )
    SELECT e.id::text AS id, e.url FROM pgstream.webhook_endpoints e
     WHERE (EXISTS (SELECT FROM owner o WHERE o.endpoint_id = e.id) OR e.made_in NOT IN ('', pgstream.here()))
       AND NOT EXISTS (SELECT FROM owner o WHERE o.endpoint_id = e.id AND o.uses)
     ORDER BY e.url`

export const all = (store: PgClient.PgClient): Effect.Effect<ReadonlyArray<Named>, SqlError> =>
  store<Named>`SELECT id::text AS id, url FROM pgstream.webhook_endpoints ORDER BY url`

/** `undefined`: nothing is stored for the stream, or an address in common. Else the addresses that are stored. */
export const moved = (
  store: PgClient.PgClient,
  here: Here
): Effect.Effect<ReadonlyArray<string> | undefined, SqlError> =>
  Effect.map(
    store<{
      readonly addresses: ReadonlyArray<string>
    }>`SELECT addresses FROM pgstream.checkpoint WHERE stream = ${Stream.format(here.stream)}`,
    ([row]) =>
      row === undefined ||
      row.addresses.length === 0 ||
      row.addresses.some((address) => here.addresses.includes(address))
        ? undefined
        : row.addresses
  )

/** Paused for this stream, unless an operator paused it already. */
export const pause = (
  store: PgClient.PgClient,
  stream: StreamId,
  endpoints: ReadonlyArray<Named>,
  why: string
): Effect.Effect<void, SqlError> =>
  endpoints.length === 0
    ? Effect.void
    : Effect.asVoid(store`
    INSERT INTO pgstream.endpoint_streams AS x (stream, endpoint_id, paused, paused_reason)
    SELECT ${Stream.format(stream)}, unnest(${endpoints.map((endpoint) => endpoint.id)}::text[]::uuid[]), true, ${`${REASON} ${why}`}
    ON CONFLICT (stream, endpoint_id) DO UPDATE SET paused = true, paused_reason = excluded.paused_reason WHERE NOT x.paused`)

/** Where the stream is read from now. */
export const remember = (store: PgClient.PgClient, here: Here): Effect.Effect<void, SqlError> =>
  Effect.asVoid(store`
    UPDATE pgstream.checkpoint SET addresses = ${JSON.stringify(here.addresses)}::jsonb, database = ${here.database}
     WHERE stream = ${Stream.format(here.stream)}
       AND (addresses, database) IS DISTINCT FROM (${JSON.stringify(here.addresses)}::jsonb, ${here.database})`)

export interface Adopted {
  readonly resumed: number
  /** Parked deliveries that were re-keyed, and the streams that they were of. */
  readonly parked: number
  readonly streams: ReadonlyArray<string>
}

/**
 * Resumes what we paused, and re-keys what is parked for streams that are not of this database: in their order, below
 * every position of this stream (WAL positions of another server say nothing here). All of it is due at once. What those
 * streams kept besides goes.
 */
export const adopt = (
  store: PgClient.PgClient,
  here: Here,
  slotWasLost: boolean
): Effect.Effect<Adopted, SqlError> =>
  Effect.gen(function*() {
    const stream = Stream.format(here.stream)
    const own = [...here.live, stream]
    const resumed = yield* store<{ readonly id: string }>`
      UPDATE pgstream.endpoint_streams SET paused = false, paused_reason = NULL
       WHERE stream = ${stream} AND paused AND starts_with(paused_reason, ${REASON}) RETURNING endpoint_id::text AS id`
    yield* store`
      UPDATE pgstream.webhook_deliveries SET due_at = now() WHERE stream = ${stream} AND state = 'waiting' AND due_at > now()
         AND endpoint_id = ANY(${resumed.map((row) => row.id)}::text[]::uuid[])`
    yield* store`UPDATE pgstream.webhook_endpoints SET made_in = pgstream.here() WHERE made_in <> pgstream.here()`
    const streams = yield* store<{ readonly stream: string }>`
      SELECT stream FROM pgstream.checkpoint WHERE stream <> ALL(${own}::text[])
      UNION SELECT stream FROM pgstream.endpoint_streams WHERE stream <> ALL(${own}::text[])
      UNION SELECT stream FROM pgstream.webhook_deliveries WHERE stream <> ALL(${own}::text[]) ORDER BY 1`
    const names = streams.map((row) => row.stream)
    const keyed = slotWasLost ? [...names, stream] : names
    if (keyed.length === 0) return { resumed: resumed.length, parked: 0, streams: [] }
    yield* translateKeys(store, stream, names)
    const parked = yield* store`
      UPDATE pgstream.webhook_deliveries d SET stream = ${stream}, commit_lsn = '0/0', ordinal = r.n, sequence = 0, due_at = least(d.due_at, now())
        FROM (SELECT ctid AS place, row_number() OVER (PARTITION BY endpoint_id ORDER BY stream, commit_lsn, ordinal, event_id) AS n
                FROM pgstream.webhook_deliveries w WHERE stream = ANY(${keyed}::text[])
                 AND NOT EXISTS (SELECT FROM pgstream.webhook_deliveries o WHERE o.stream = ${stream} AND w.stream <> ${stream}
                   AND o.endpoint_id = w.endpoint_id AND o.event_id = w.event_id)) r
       WHERE d.ctid = r.place RETURNING 1`
    yield* forget(store, names)
    return { resumed: resumed.length, parked: parked.length, streams: names }
  })

/** Parked keys name tables by oid: those of a restored database are found by name, from the shapes of both streams. */
const translateKeys = (
  store: PgClient.PgClient,
  stream: string,
  from: ReadonlyArray<string>
): Effect.Effect<void, SqlError> =>
  Effect.asVoid(store`
    WITH renamed AS (
      SELECT DISTINCT ON (old.stream, old.oid) old.stream, old.oid::text AS was, new.oid::text AS now
        FROM pgstream.checkpoint_shapes old
        JOIN pgstream.checkpoint_shapes new ON new.stream = ${stream} AND new.shape ->> 'schema' = old.shape ->> 'schema' AND new.shape ->> 'name' = old.shape ->> 'name'
       WHERE old.stream = ANY(${from}::text[]) AND old.oid <> new.oid
    )
    UPDATE pgstream.webhook_deliveries d
       SET keys = (SELECT string_agg(concat_ws(',',
             coalesce((SELECT r.now FROM renamed r WHERE r.stream = d.stream AND r.was = split_part(k, ',', 1)), split_part(k, ',', 1)),
             coalesce((SELECT r.now FROM renamed r WHERE r.stream = d.stream AND r.was = split_part(k, ',', 2)), split_part(k, ',', 2)),
             split_part(k, ',', 3), split_part(k, ',', 4)), ';' ORDER BY n)
             FROM unnest(string_to_array(d.keys, ';')) WITH ORDINALITY AS part(k, n))
     WHERE d.stream = ANY(${from}::text[]) AND d.keys <> '' AND EXISTS (SELECT FROM renamed r WHERE r.stream = d.stream)`)

/** Streams whose segments have to be rows before `adopt`: those that it re-keys. */
export const withSegments = (
  store: PgClient.PgClient,
  here: Here,
  slotWasLost: boolean
): Effect.Effect<ReadonlyArray<string>, SqlError> => {
  const own = [...here.live, Stream.format(here.stream)]
  return Effect.map(
    store<{ readonly stream: string }>`
      SELECT DISTINCT stream FROM pgstream.webhook_segment_cursors
       WHERE stream <> ALL(${own}::text[]) OR (${slotWasLost}::boolean AND stream = ${Stream.format(here.stream)})`,
    (rows) => rows.map((row) => row.stream)
  )
}

/** A table that somebody reads just now (pg_dump) is dropped by the next start of a service on this store. */
const dropSegments = (store: PgClient.PgClient, streams: ReadonlyArray<string>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    yield* store`UPDATE pgstream.webhook_segment_tables SET stream = '', end_segment = coalesce(end_segment, first_segment)
      WHERE stream = ANY(${streams}::text[])`
    yield* store`SELECT pgstream.drop_segment_table(number) FROM pgstream.webhook_segment_tables WHERE stream = ''`
    yield* store`DELETE FROM pgstream.webhook_segment_tables WHERE stream = '' AND dropped`
  })

/** Everything that the store keeps for these streams. */
export const forget = (
  store: PgClient.PgClient,
  streams: ReadonlyArray<string>
): Effect.Effect<void, SqlError> =>
  Effect.andThen(dropSegments(store, streams), Effect.forEach(
    [
      "webhook_deliveries",
      "webhook_segment_cursors",
      "webhook_sequence_ranges",
      "webhook_attempts",
      "webhook_successes",
      "delivery_commands",
      "notices",
      "endpoint_streams",
      "checkpoint_definitions",
      "checkpoint_shapes",
      "checkpoint_versions",
      "stream_writers",
      "checkpoint"
    ],
    (table) => store`DELETE FROM ${store(`pgstream.${table}`)} WHERE stream = ANY(${streams}::text[])`,
    { discard: true }
  ))

/** URLs without userinfo and query. */
export const names = (endpoints: ReadonlyArray<Named>): string => {
  const shown = endpoints.slice(0, NAMED).map((endpoint) => WebhookUrl.describe(endpoint.url))
  return (endpoints.length > NAMED ? [...shown, `and ${endpoints.length - NAMED} more`] : shown).join(", ")
}
