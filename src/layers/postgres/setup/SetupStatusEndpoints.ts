/** What `status` says of endpoints that do not get their events: which, why, and the command that mends it. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"
import type { Finding } from "../../../services/Setup.ts"
import * as EndpointSecrets from "../store/EndpointSecrets.ts"
import { Seals } from "../store/Seals.ts"
import * as Clone from "./Clone.ts"
import type { Parts } from "./SetupParts.ts"

/** Endpoints named one by one. */
const NAMED = 20
/** Secrets that are read at a time. */
const PAGE = 100

interface Row {
  readonly id: string
  readonly url: string
  readonly paused: boolean
  readonly paused_reason: string | null
  readonly disabled_reason: string | null
  readonly suspended_reason: string | null
  /** Of what it is. RFC 3339. */
  readonly since: string | null
  readonly failing: boolean
}

/** At most `NAMED`, joined; and how many more. */
export const some = (shown: ReadonlyArray<string>, between = "; "): string =>
  shown.length <= NAMED
    ? shown.join(between)
    : `${shown.slice(0, NAMED).join(between)}${between}and ${shown.length - NAMED} more`

const resume = ({ id }: Row): string => `pgstream subscriptions resume ${id}`
const since = (row: Row): string => (row.since === null ? "" : `, since ${row.since}`)

const finding = (code: string, rows: ReadonlyArray<Row>, what: string, why: (row: Row) => string, mend: string): ReadonlyArray<Finding> =>
  rows.length === 0 ? [] : [{
    area: "delivery", code, mend,
    summary: `${rows.length === 1 ? "1 endpoint" : `${rows.length} endpoints`} ${what}: ${some(rows.map((row) =>
      `${WebhookUrl.describe(row.url)} (${why(row)})`))}`
  }]

const stopped = (rows: ReadonlyArray<Row>): ReadonlyArray<Finding> => {
  const suspended = rows.filter((row) => row.suspended_reason !== null)
  const disabled = rows.filter((row) => row.suspended_reason === null && row.disabled_reason !== null)
  const failing = rows.filter((row) => row.failing && row.suspended_reason === null && row.disabled_reason === null && !row.paused)
  return [
    ...finding(
      "EndpointSuspended", suspended, "suspended, events are numbered and not kept", (row) => `${row.suspended_reason}${since(row)}`,
      `Mend the receiver, then:\n${some(suspended.map(resume), "\n")}`
    ),
    ...finding(
      "EndpointDisabled", disabled, "disabled, events are kept and not sent", (row) => `${row.disabled_reason}${since(row)}`,
      `Mend the receiver, then:\n${some(disabled.map(resume), "\n")}`
    ),
    ...finding(
      "EndpointFailing", failing, "accepted nothing of late", (row) => `failing${since(row)}`,
      "Mend the receiver: what waits is sent by itself. Why it fails:   pgstream deliveries list --state failed"
    )
  ]
}

const paused = (rows: ReadonlyArray<Row>, notes: Array<string>): ReadonlyArray<Finding> => {
  const held = rows.filter((row) => row.paused)
  const copies = held.filter((row) => row.paused_reason?.startsWith(Clone.REASON) === true)
  const others = held.filter((row) => !copies.includes(row))
  if (others.length > 0) {
    notes.push(`Paused endpoints: ${some(others.map((row) =>
      `${WebhookUrl.describe(row.url)} (${row.paused_reason ?? "no reason given"}; to send: ${resume(row)})`))}.`)
  }
  if (copies.length === 0) return []
  return [{
    area: "delivery", code: "EndpointsPaused", mend: Clone.RESUME,
    summary: `${copies.length} endpoints are paused: ${some(copies.map((row) => WebhookUrl.describe(row.url)))}. ${copies[0]!.paused_reason}`
  }]
}

interface SecretRow {
  readonly id: string
  readonly url: string
  readonly content: Uint8Array
}

/** With the key that this command has; the service may have another. */
const unreadable = Effect.fnUntraced(function*(parts: Parts) {
  const seals = new Seals(parts.secrets)
  const found: Array<string> = []
  let why = ""
  for (let last: string | null = null;;) {
    const rows: ReadonlyArray<SecretRow> = yield* parts.store<SecretRow>`
      SELECT e.id::text AS id, e.url, k.content FROM pgstream.webhook_endpoint_secrets k JOIN pgstream.webhook_endpoints e ON e.id = k.endpoint_id
       WHERE ${last}::uuid IS NULL OR e.id > ${last}::uuid ORDER BY e.id LIMIT ${PAGE}`
    for (const { content, id, url } of rows) {
      const opened = EndpointSecrets.open(seals, id, content)
      if (Result.isSuccess(opened)) continue
      found.push(WebhookUrl.describe(url))
      why = opened.failure.message
    }
    if (rows.length < PAGE) break
    last = rows.at(-1)!.id
  }
  if (found.length === 0) return []
  const one: Finding = {
    area: "delivery", code: "SecretKeyUnknown", mend: why,
    summary: `the secrets of ${found.length === 1 ? "1 endpoint do" : `${found.length} endpoints do`} not open, events are kept and not sent: ${some(found)}`
  }
  return [one]
})

export const endpointFindings = (
  parts: Parts, stream: string, notes: Array<string>
): Effect.Effect<ReadonlyArray<Finding>, SqlError> =>
  Effect.gen(function*() {
    const rows = yield* parts.store<Row>`
      SELECT e.id::text AS id, e.url, x.paused, x.paused_reason, x.disabled_reason, x.suspended_reason,
             coalesce(x.failing_since < now() - interval '1 minute', false) AS failing,
             to_char(coalesce(x.suspended_at, x.disabled_at, x.failing_since) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
        FROM pgstream.endpoint_streams x JOIN pgstream.webhook_endpoints e ON e.id = x.endpoint_id
       WHERE x.stream = ${stream}
         AND (x.paused OR x.disabled_reason IS NOT NULL OR x.suspended_reason IS NOT NULL OR x.failing_since IS NOT NULL)
       ORDER BY e.url`
    return [...paused(rows, notes), ...stopped(rows), ...(yield* unreadable(parts))]
  })
