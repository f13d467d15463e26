/**
 * Same contract as `ParkedDeliveriesPg`; `test/suites/ParkedDeliveriesSuite.ts` runs against both. Lives as long
 * as the layer. Bodies are copied when written: the caller may use its slab again.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ParkedCursor, ParkedDeliveries, type ParkedDelivery } from "../../services/ParkedDeliveries.ts"
import { endOfPage, inStreamOrder } from "../../domain/ParkedOrder.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import type { EndpointId } from "../../domain/Subscription.ts"

type Rows = Map<string, ParkedDelivery>

const isAfter = (row: ParkedDelivery, cursor: ParkedCursor | undefined): boolean =>
  cursor === undefined ||
  row.commitLsn > cursor.commitLsn ||
  (row.commitLsn === cursor.commitLsn && row.ordinal > cursor.ordinal)

export const layer: Layer.Layer<ParkedDeliveries> = Layer.sync(ParkedDeliveries, () => {
  /** Per stream and endpoint: rows by event id. */
  const streams = new Map<string, Map<EndpointId, Rows>>()
  const endpointsOf = (stream: StreamId): Map<EndpointId, Rows> => {
    const key = format(stream)
    let endpoints = streams.get(key)
    if (endpoints === undefined) streams.set(key, endpoints = new Map())
    return endpoints
  }
  const rowsOf = (stream: StreamId, endpoint: EndpointId): Rows => {
    const endpoints = endpointsOf(stream)
    let rows = endpoints.get(endpoint)
    if (rows === undefined) endpoints.set(endpoint, rows = new Map())
    return rows
  }
  return ParkedDeliveries.of({
    write: (stream, batch) =>
      Effect.sync(() => {
        for (const delivery of batch) {
          const rows = rowsOf(stream, delivery.endpointId)
          if (!rows.has(delivery.id)) rows.set(delivery.id, { ...delivery, body: Uint8Array.from(delivery.body) })
        }
      }),
    scan: (stream, endpoint, after, limit, maxBytes) =>
      Effect.sync(() => {
        const waiting = [...rowsOf(stream, endpoint).values()]
          .filter((row) => row.state === "waiting" && isAfter(row, after))
          .sort(inStreamOrder)
        return waiting.slice(0, endOfPage(waiting, limit, maxBytes)).map((row) => ({ ...row }))
      }),
    remove: (stream, endpoint, ids) =>
      Effect.sync(() => {
        const rows = rowsOf(stream, endpoint)
        for (const id of ids) rows.delete(id)
      }),
    end: (stream, endpoint) =>
      Effect.sync(() => {
        const count = rowsOf(stream, endpoint).size
        endpointsOf(stream).delete(endpoint)
        return count
      }),
    update: (stream, batch) =>
      Effect.sync(() => {
        for (const { endpointId, id, attempts, retries, dueAtMs, state, lastError } of batch) {
          const rows = rowsOf(stream, endpointId)
          const row = rows.get(id)
          if (row !== undefined) rows.set(id, { ...row, attempts, retries, dueAtMs, state, lastError })
        }
      }),
    loadKeys: (stream, after, limit) =>
      Effect.sync(() => {
        const all = [...endpointsOf(stream).entries()]
          .filter(([id]) => after === undefined || id >= after.endpointId)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .flatMap(([id, rows]) =>
            [...rows.values()]
              .filter((row) => isAfter(row, after?.endpointId === id ? after.cursor : undefined))
              .sort(inStreamOrder)
          )
        return all.slice(0, endOfPage(all, limit)).map(({ endpointId, id, keys, commitLsn, ordinal, state }) => ({
          endpointId, id, commitLsn, ordinal, state, keys: state === "dead" ? [] : keys
        }))
      })
  })
})
