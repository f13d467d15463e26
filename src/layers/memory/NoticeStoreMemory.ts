/**
 * Same contract as `NoticeStorePg`; `test/suites/NoticeStoreSuite.ts` runs against both. Lives as long as the layer. What
 * is over is known by the tables of endpoints and of parked deliveries, where the graph has them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { format, type StreamId } from "../../domain/StreamId.ts"
import { NoticeStore, type ToldNotice } from "../../services/NoticeStore.ts"
import { endpointsOf, ParkedTables } from "./ParkedTables.ts"
import { WebhookTables } from "./WebhookTables.ts"

export const layer: Layer.Layer<NoticeStore> = Layer.effect(NoticeStore, Effect.gen(function*() {
  const tables = yield* Effect.serviceOption(WebhookTables)
  const parked = yield* Effect.serviceOption(ParkedTables)
  const told = new Map<string, ToldNotice>()
  const keyOf = (stream: StreamId, kind: string, endpointId: string | undefined) => `${format(stream)} ${kind} ${endpointId ?? ""}`
  const of = (stream: StreamId) => [...told].filter(([key]) => key.startsWith(`${format(stream)} `))
  const isOver = (stream: StreamId, { endpointId, kind }: ToldNotice): boolean => {
    if (endpointId === undefined) return false
    if (Option.isSome(tables) && !tables.value.endpoints.has(endpointId)) return true
    if (kind === "first_dead_letter") {
      const rows = Option.map(parked, (each) => endpointsOf(each, stream).get(endpointId)?.values() ?? [])
      return Option.isSome(rows) && ![...rows.value].some(({ state }) => state === "dead")
    }
    if (kind !== "endpoint_disabled" && kind !== "endpoint_suspended") return false
    const endpoint = Option.map(tables, (each) => each.endpoints.get(endpointId))
    return Option.isSome(endpoint) && endpoint.value?.[kind === "endpoint_disabled" ? "disabled" : "suspended"] !== true
  }
  return NoticeStore.of({
    load: (stream) => Effect.sync(() => of(stream).map(([, notice]) => notice)),
    tell: (stream, notice) =>
      Effect.sync(() => {
        const key = keyOf(stream, notice.kind, notice.endpointId)
        if (told.has(key)) return false
        told.set(key, notice)
        return true
      }),
    sent: (stream, id) =>
      Effect.sync(() => {
        for (const [key, notice] of of(stream)) if (notice.id === id) told.set(key, { ...notice, sent: true })
      }),
    over: (stream, kind, endpointId) => Effect.sync(() => void told.delete(keyOf(stream, kind, endpointId))),
    ended: (stream) =>
      Effect.sync(() => {
        const over = of(stream).filter(([, notice]) => isOver(stream, notice))
        for (const [key] of over) told.delete(key)
        return over.map(([, { endpointId, kind }]) => ({ endpointId, kind }))
      })
  })
}))
