/** Same contract as `NoticeStorePg`; `test/suites/NoticeStoreSuite.ts` runs against both. Lives as long as the layer. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { format, type StreamId } from "../../domain/StreamId.ts"
import { NoticeStore, type ToldNotice } from "../../services/NoticeStore.ts"

export const layer: Layer.Layer<NoticeStore> = Layer.sync(NoticeStore, () => {
  const told = new Map<string, ToldNotice>()
  const keyOf = (stream: StreamId, kind: string, endpointId: string | undefined) => `${format(stream)} ${kind} ${endpointId ?? ""}`
  const of = (stream: StreamId) => [...told].filter(([key]) => key.startsWith(`${format(stream)} `))
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
    over: (stream, kind, endpointId) => Effect.sync(() => void told.delete(keyOf(stream, kind, endpointId)))
  })
})
