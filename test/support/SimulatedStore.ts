/**
 * Parked deliveries that outlive a simulated process, slow as a real table is: a write is durable some time before it
 * returns, a scan answers with what was there some time ago, and pages end where they like.
 */
import * as Effect from "effect/Effect"
import { rangesOf } from "../../src/domain/Segment.ts"
import { inStreamOrder } from "../../src/domain/ParkedOrder.ts"
import {
  type ParkedCursor, ParkedDeliveries, ParkedDeliveriesError, type ParkedDelivery
} from "../../src/services/ParkedDeliveries.ts"

export interface StoreTiming {
  /** Pause of a call, in two parts: before and after the moment at which it acts, ms. */
  readonly write: () => readonly [number, number]
  readonly scan: () => readonly [number, number]
  /** Whether this call fails, before or after it acted. */
  readonly fails: () => "no" | "before" | "after"
  /** Rows of a page at most. */
  readonly page: () => number
  /** Its clock, ms. */
  readonly now: () => number
}

const isAfter = (row: ParkedDelivery, cursor: ParkedCursor | undefined): boolean =>
  cursor === undefined || row.commitLsn > cursor.commitLsn ||
  (row.commitLsn === cursor.commitLsn && row.ordinal > cursor.ordinal)

/** What is durable: one stream. Keys are `<endpoint> <event id>`. */
export class SimulatedStore {
  readonly rows = new Map<string, ParkedDelivery>()
  /** When a row was written first, ms. */
  private readonly parkedAt = new Map<string, number>()

  get(endpoint: string, id: string): ParkedDelivery | undefined {
    return this.rows.get(`${endpoint} ${id}`)
  }

  ofEndpoint(endpoint: string): ReadonlyArray<ParkedDelivery> {
    return [...this.rows.values()].filter((row) => row.endpointId === endpoint).sort(inStreamOrder)
  }

  /** As one process sees it. */
  service(sleep: (ms: number) => Effect.Effect<void>, timing: StoreTiming): ParkedDeliveries["Service"] {
    const call = <A>(pauses: readonly [number, number], operation: string, act: () => A, mayFail = true) =>
      Effect.suspend(() => {
        const fails = mayFail ? timing.fails() : "no"
        const error = new ParkedDeliveriesError({ operation, cause: "simulated" })
        if (fails === "before") return Effect.andThen(sleep(pauses[0]), Effect.fail(error))
        return Effect.flatMap(sleep(pauses[0]), () => {
          const value = act()
          return Effect.andThen(sleep(pauses[1]), fails === "after" ? Effect.fail(error) : Effect.succeed(value))
        })
      })
    return ParkedDeliveries.of({
      write: (_stream, batch) =>
        call(timing.write(), "write", () => {
          for (const row of batch) {
            const key = `${row.endpointId} ${row.id}`
            if (this.rows.has(key)) continue
            this.rows.set(key, { ...row, body: Uint8Array.from(row.body) })
            this.parkedAt.set(key, timing.now())
          }
        }),
      scan: (_stream, endpoint, after, limit) =>
        call(timing.scan(), "scan", () => {
          const waiting = this.ofEndpoint(endpoint).filter((row) => row.state === "waiting" && isAfter(row, after))
          return waiting.slice(0, Math.min(limit, timing.page()))
        }),
      remove: (_stream, endpoint, ids) =>
        call(timing.write(), "remove", () => {
          for (const id of ids) this.rows.delete(`${endpoint} ${id}`)
        }),
      numbers: (_stream, endpoint) => call(timing.scan(), "numbers", () => rangesOf(this.ofEndpoint(endpoint))),
      end: (_stream, endpoint) =>
        call(timing.write(), "end", () => {
          const rows = this.ofEndpoint(endpoint)
          for (const row of rows) this.rows.delete(`${endpoint} ${row.id}`)
          return rows.length
        }),
      update: (_stream, batch) =>
        call(timing.write(), "update", () => {
          for (const { endpointId, id, attempts, retries, dueAtMs, state, lastError } of batch) {
            const key = `${endpointId} ${id}`
            const row = this.rows.get(key)
            if (row !== undefined) this.rows.set(key, { ...row, attempts, retries, dueAtMs, state, lastError })
          }
        }),
      loadKeys: (_stream, after, limit, idsFrom = 0) =>
        call(timing.scan(), "loadKeys", () =>
          [...this.rows.values()]
            .filter((row) => row.state === "waiting" || row.commitLsn >= idsFrom)
            .filter((row) => after === undefined || row.endpointId > after.endpointId ||
              (row.endpointId === after.endpointId && isAfter(row, after.cursor)))
            .sort((a, b) => (a.endpointId < b.endpointId ? -1 : a.endpointId > b.endpointId ? 1 : inStreamOrder(a, b)))
            .slice(0, Math.min(limit, timing.page()))
            .map((row) => ({
              ...row, bytes: row.body.byteLength, keys: row.state === "dead" ? [] : row.keys,
              parkedAtMs: this.parkedAt.get(`${row.endpointId} ${row.id}`) ?? 0
            })), false)
    })
  }
}
