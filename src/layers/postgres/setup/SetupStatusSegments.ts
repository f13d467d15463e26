/** What waits in segments, for `status`: no fault by itself, it comes when the endpoint takes it. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"
import * as SegmentsSql from "../store/SegmentsPgSql.ts"
import type { Parts } from "./SetupParts.ts"
import { some } from "./SetupStatusEndpoints.ts"

interface Behind {
  readonly events: number
  readonly oldest: Date
}

const behind = Effect.fnUntraced(function*(parts: Parts, stream: string) {
  const found = new Map<string, Behind>()
  for (const table of yield* SegmentsSql.tables(parts.store, stream)) {
    if (table.dropped) continue
    for (const row of yield* SegmentsSql.waiting(parts.store, Number(table.number), stream, 0)) {
      const before = found.get(row.endpoint_id)
      found.set(row.endpoint_id, { events: (before?.events ?? 0) + Number(row.events), oldest: before?.oldest ?? row.oldest })
    }
  }
  return found
})

export const segmentNotes = (parts: Parts, stream: string, notes: Array<string>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const found = yield* behind(parts, stream)
    if (found.size === 0) return
    const rows = yield* parts.store<{ readonly id: string; readonly url: string }>`
      SELECT id::text AS id, url FROM pgstream.webhook_endpoints WHERE id = ANY (${[...found.keys()]}::text[]::uuid[]) ORDER BY url`
    const shown = rows.map(({ id, url }) => {
      const { events, oldest } = found.get(id)!
      return `${events} for ${WebhookUrl.describe(url)} since ${oldest.toISOString().slice(0, 19)}Z`
    })
    if (shown.length > 0) notes.push(`Endpoints that are behind, and what waits for them: ${some(shown)}.`)
  })
