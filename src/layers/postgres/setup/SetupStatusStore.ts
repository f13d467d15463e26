/** What `status` reads from the store: endpoints that get nothing, parked deliveries, a copied disk. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Lsn from "../../../domain/Lsn.ts"
import * as Stream from "../../../domain/StreamId.ts"
import * as WebhookUrl from "../../../domain/WebhookUrl.ts"
import type { Finding } from "../../../services/Setup.ts"
import * as Clone from "./Clone.ts"
import * as MigrationsStore from "../store/MigrationsStore.ts"
import type * as Probe from "./Probe.ts"
import { faultOf } from "./SetupErrors.ts"
import { hereOf, type Parts, storedPosition } from "./SetupParts.ts"
import { endpointFindings, some } from "./SetupStatusEndpoints.ts"
import { segmentNotes } from "./SetupStatusSegments.ts"
import * as Takeover from "./Takeover.ts"

interface ParkedRow {
  readonly url: string
  readonly waiting: number
  readonly dead: number
  readonly error: string
}

export interface StoreReport {
  readonly version: number
  /** 0: none, or not known. */
  readonly position: Lsn.Lsn
  readonly findings: ReadonlyArray<Finding>
}

const parked = (parts: Parts, stream: string): Effect.Effect<ReadonlyArray<Finding>, SqlError> =>
  Effect.gen(function*() {
    const rows = yield* parts.store<ParkedRow>`
      SELECT coalesce(e.url, '') AS url, (count(*) FILTER (WHERE d.state = 'waiting'))::int AS waiting,
             (count(*) FILTER (WHERE d.state = 'dead'))::int AS dead, coalesce(max(d.last_error), '') AS error
        FROM pgstream.webhook_deliveries d LEFT JOIN pgstream.webhook_endpoints e ON e.id = d.endpoint_id
       WHERE d.stream = ${stream} GROUP BY e.url ORDER BY count(*) DESC`
    const of = (count: (row: ParkedRow) => number) =>
      some(
        rows
          .filter((row) => count(row) > 0)
          .map(
            (row) =>
              `${count(row)} for ${WebhookUrl.describe(row.url)}${row.error === "" ? "" : ` (${row.error})`}`
          )
      )
    const sum = (count: (row: ParkedRow) => number) => rows.reduce((total, row) => total + count(row), 0)
    const findings: Array<Finding> = []
    const waiting = sum((row) => row.waiting)
    const dead = sum((row) => row.dead)
    if (waiting > 0) {
      findings.push({
        area: "delivery",
        code: "DeliveriesParked",
        summary: `${waiting} deliveries are parked: ${of((row) => row.waiting)}`,
        mend: "They are tried again by themselves; mend the receiver."
      })
    }
    if (dead > 0) {
      findings.push({
        area: "delivery",
        code: "DeliveriesDead",
        summary: `${dead} deliveries are not tried any more: ${of((row) => row.dead)}`,
        mend: "Mend the receiver, then:   pgstream deliveries retry --state dead       What they are:   pgstream deliveries list --state dead"
      })
    }
    return findings
  })

const total = (parts: Parts, notes: Array<string>): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const note = Takeover.endpointsNote(yield* Takeover.inTotalOrder(parts.store))
    if (note !== undefined) notes.push(note)
  })

const copied = (parts: Parts, facts: Probe.Facts): Effect.Effect<ReadonlyArray<Finding>, SqlError> =>
  Effect.map(Clone.moved(parts.store, hereOf(parts, facts)), (before) =>
    before === undefined
      ? []
      : [
          {
            area: "delivery",
            code: "CopySuspected",
            summary: `this database was read at ${before.join(", ")} before, and the URL names ${hereOf(parts, facts).addresses.join(", ")}: run will pause its endpoints`,
            mend: Clone.RESUME
          }
        ]
  )

/** A store that cannot be reached is a finding; its version then counts as good, so that nothing else is blamed. */
export const storeFindings = (
  parts: Parts,
  facts: Probe.Facts,
  notes: Array<string>
): Effect.Effect<StoreReport> =>
  Effect.gen(function*() {
    const version = yield* MigrationsStore.currentVersion(parts.store)
    if (version < MigrationsStore.latestVersion) return { version, position: Lsn.zero, findings: [] }
    const stream = Stream.format(hereOf(parts, facts).stream)
    yield* total(parts, notes)
    yield* segmentNotes(parts, stream, notes)
    const findings = yield* Effect.all([
      endpointFindings(parts, stream, notes),
      parked(parts, stream),
      copied(parts, facts)
    ])
    return { version, position: yield* storedPosition(parts, facts), findings: findings.flat() }
  }).pipe(
    Effect.catch((error) => {
      const fault = faultOf(error)
      return Effect.succeed({
        version: MigrationsStore.latestVersion,
        position: Lsn.zero,
        findings: [
          {
            area: "delivery" as const,
            code: fault.code,
            summary: `the store cannot be read: ${fault.seen}`,
            mend: fault.mend
          }
        ]
      })
    })
  )
