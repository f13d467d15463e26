/**
 * Same contract as `ParkedDeliveriesPg`; `test/suites/ParkedDeliveriesSuite.ts` runs against both. Lives as long
 * as the layer. Bodies are copied when written: the caller may use its slab again.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DeadDeliveries } from "../../services/DeadDeliveries.ts"
import { type ParkedCursor, ParkedDeliveries, type ParkedDelivery } from "../../services/ParkedDeliveries.ts"
import { endOfPage, inStreamOrder } from "../../domain/ParkedOrder.ts"
import { zero } from "../../domain/Lsn.ts"
import { rangesOf } from "../../domain/Segment.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import type { EndpointId } from "../../domain/Subscription.ts"
import { endpointsOf as endpointsIn, ParkedTables, layer as parkedTables, type Row, type Rows } from "./ParkedTables.ts"


/** What callers see of it. */
const shown = ({ diedAtMs: _, parkedAtMs: __, ...row }: Row): ParkedDelivery => row

const isAfter = (row: ParkedDelivery, cursor: ParkedCursor | undefined): boolean =>
  cursor === undefined ||
  row.commitLsn > cursor.commitLsn ||
  (row.commitLsn === cursor.commitLsn && row.ordinal > cursor.ordinal)

const make = (tables: ParkedTables["Service"]) => {
  const endpointsOf = (stream: StreamId): Map<EndpointId, Rows> => endpointsIn(tables, stream)
  const rowsOf = (stream: StreamId, endpoint: EndpointId): Rows => {
    const endpoints = endpointsOf(stream)
    let rows = endpoints.get(endpoint)
    if (rows === undefined) endpoints.set(endpoint, rows = new Map())
    return rows
  }
  const parked = ParkedDeliveries.of({
    write: (stream, batch) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const delivery of batch) {
          const rows = rowsOf(stream, delivery.endpointId)
          if (rows.has(delivery.id)) continue
          const diedAtMs = delivery.state === "dead" ? now : undefined
          rows.set(delivery.id, { ...delivery, body: Uint8Array.from(delivery.body), diedAtMs, parkedAtMs: now })
        }
      }),
    scan: (stream, endpoint, after, limit, maxBytes) =>
      Effect.sync(() => {
        const waiting = [...rowsOf(stream, endpoint).values()]
          .filter((row) => row.state === "waiting" && isAfter(row, after))
          .sort(inStreamOrder)
        return waiting.slice(0, endOfPage(waiting, limit, maxBytes)).map(shown)
      }),
    remove: (stream, endpoint, ids) =>
      Effect.sync(() => {
        const rows = rowsOf(stream, endpoint)
        for (const id of ids) rows.delete(id)
      }),
    numbers: (stream, endpoint) =>
      Effect.sync(() =>
        rangesOf([...rowsOf(stream, endpoint).values()].sort((a, b) =>
          a.epoch === b.epoch ? a.sequence - b.sequence : a.epoch < b.epoch ? -1 : 1))
      ),
    end: (stream, endpoint) =>
      Effect.sync(() => {
        const count = rowsOf(stream, endpoint).size
        endpointsOf(stream).delete(endpoint)
        return count
      }),
    update: (stream, batch) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const { endpointId, id, attempts, retries, dueAtMs, state, lastError } of batch) {
          const rows = rowsOf(stream, endpointId)
          const row = rows.get(id)
          if (row === undefined) continue
          const diedAtMs = state === "dead" ? row.diedAtMs ?? now : undefined
          rows.set(id, { ...row, attempts, retries, dueAtMs, state, lastError, diedAtMs })
        }
      }),
    loadKeys: (stream, after, limit, idsFrom = zero) =>
      Effect.sync(() => {
        const all = [...endpointsOf(stream).entries()]
          .filter(([id]) => after === undefined || id >= after.endpointId)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .flatMap(([id, rows]) =>
            [...rows.values()]
              .filter((row) => row.state === "waiting" || row.commitLsn >= idsFrom)
              .filter((row) => isAfter(row, after?.endpointId === id ? after.cursor : undefined))
              .sort(inStreamOrder)
          )
        return all.slice(0, endOfPage(all, limit)).map(({ body, endpointId, id, keys, commitLsn, ordinal, parkedAtMs, state }) => ({
          endpointId, id, commitLsn, ordinal, state, parkedAtMs, bytes: body.byteLength, keys: state === "dead" ? [] : keys
        }))
      })
  })
  const dead = DeadDeliveries.of({
    expired: (stream, beforeMs, limit) =>
      Effect.sync(() =>
        [...endpointsOf(stream).values()]
          .flatMap((rows) => [...rows.values()])
          .flatMap((row) => (row.diedAtMs !== undefined && row.diedAtMs < beforeMs ? [{ ...row, diedAtMs: row.diedAtMs }] : []))
          .sort((a, b) => a.diedAtMs - b.diedAtMs)
          .slice(0, limit)
          .map(({ endpointId, epoch, id, sequence }) => ({ endpointId, id, epoch, sequence }))
      ),
    remove: (stream, expired) =>
      Effect.sync(() => {
        for (const { endpointId, id } of expired) {
          const rows = rowsOf(stream, endpointId)
          if (rows.get(id)?.state === "dead") rows.delete(id)
        }
      })
  })
  return Context.mergeAll(Context.make(ParkedDeliveries, parked), Context.make(DeadDeliveries, dead))
}

export const layer: Layer.Layer<ParkedDeliveries | DeadDeliveries> = Layer.effectContext(Effect.map(ParkedTables, make)).pipe(
  Layer.provide(parkedTables)
)
