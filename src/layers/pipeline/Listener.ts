/**
 * `Listener` over a `ChangeSource` and the decoder.
 *
 * Only the source opens again after a fault, behind the last whole transaction that was handed on; what was handed
 * on of the one after it is dropped (`ListenerProgress`). Acknowledgements go to the connection that is open; a new
 * connection hears of the last one at once.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Chunk, Item } from "../../domain/Chunk.ts"
import * as Decoder from "../../domain/Decoder.ts"
import type { Frames } from "../../domain/Frame.ts"
import * as Lsn from "../../domain/Lsn.ts"
import * as Timestamp from "../../domain/Timestamp.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import { ChangeSource, type SourceConnection, type SourceError } from "../../services/ChangeSource.ts"
import { FailPoints } from "../../services/FailPoints.ts"
import { Heartbeat } from "../../services/Heartbeat.ts"
import { Listener, type ListenerError, type Listening } from "../../services/Listener.ts"
import { SourceSettings } from "../../services/Settings.ts"
import { heartbeatLoop } from "./HeartbeatLoop.ts"
import * as Attempts from "./ListenerAttempts.ts"
import { ListenerProgress } from "./ListenerProgress.ts"

interface Open {
  readonly connection: SourceConnection
  readonly decoder: Decoder.Decoder
  readonly scope: Scope.Closeable
}

const make = Effect.gen(function*() {
  const source = yield* ChangeSource
  const settings = yield* SourceSettings
  const heartbeat = yield* Heartbeat
  const { hit } = yield* FailPoints
  const attempts = yield* Attempts.make(settings)
  const zone = settings.timezone === undefined ? undefined : Timestamp.zone(settings.timezone)

  const identify: Effect.Effect<StreamId, ListenerError> = Effect.suspend(() =>
    attempts.persist({ attempts: 0 }, "The source cannot be reached; trying again.", source.identify)
  )

  const openSource = (from: Lsn.Lsn, parent: Scope.Scope) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(parent)
      const connection = yield* source.open(from).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      const decoder = Decoder.make(connection.plugin, { maxFrameBytes: settings.maxFrameBytes, zone })
      const open: Open = { connection, decoder, scope }
      return open
    })

  const open = Effect.fn("Listener.open")(function*(from: Lsn.Lsn) {
    const parent = yield* Scope.Scope
    const pace: Attempts.Pace = { attempts: 0 }
    const persistOpen = (from: Lsn.Lsn) =>
      attempts.persist(pace, "The slot cannot be read; trying again.", openSource(from, parent)).pipe(
        Effect.tap(() => attempts.setConnected(true, undefined))
      )
    let current: Open | undefined = yield* persistOpen(from)
    const first = current.connection
    const progress = new ListenerProgress(first.startedAt)
    let acknowledged: Lsn.Lsn = Lsn.zero
    attempts.state = { ...attempts.state, receivedLsn: first.startedAt, acknowledgedLsn: first.startedAt }

    const reopen = Effect.gen(function*() {
      const next = yield* persistOpen(progress.resumeAt)
      const problem = Attempts.whatChanged(first, next.connection)
      if (problem !== undefined) {
        yield* Scope.close(next.scope, Exit.void)
        return yield* Attempts.fail(problem)
      }
      next.connection.acknowledge(acknowledged)
      yield* Effect.logInfo("The slot is read again.").pipe(
        Effect.annotateLogs({ lsn: Lsn.format(progress.resumeAt) })
      )
      current = next
      return next
    })

    const lost = Effect.fnUntraced(function*(was: Open, error: SourceError) {
      current = undefined
      yield* attempts.setConnected(false, error.message)
      yield* Scope.close(was.scope, Exit.void)
      if (error.permanent) return yield* Attempts.fail(error)
      yield* Effect.logWarning("The connection to the source was lost; opening it again.").pipe(
        Effect.annotateLogs({ code: error.code, reason: error.summary })
      )
      pace.attempts++
    })

    const decode = (decoder: Decoder.Decoder, { bytes, frames }: Frames): Chunk | undefined => {
      const decoded: Array<Item> = []
      for (const frame of frames) decoder.push(frame, decoded)
      const items = decoded.filter((item) => progress.accept(item))
      attempts.state = { ...attempts.state, receivedLsn: progress.handedOn }
      return items.length === 0 ? undefined : { items, bytes }
    }

    const next = Effect.gen(function*() {
      for (;;) {
        const opened: Open = current ?? (yield* reopen)
        const read = yield* Effect.result(opened.connection.read)
        if (read._tag === "Failure") {
          yield* lost(opened, read.failure)
          continue
        }
        pace.attempts = 0
        const chunk = decode(opened.decoder, read.success)
        if (chunk === undefined) continue
        hit?.("listener.after_chunk")
        return chunk
      }
    })

    const idle = () =>
      current !== undefined &&
      !progress.inTransaction &&
      progress.handedOn <= Math.max(acknowledged, first.startedAt)
    yield* heartbeatLoop(idle).pipe(Effect.provideService(Heartbeat, heartbeat), Effect.forkScoped)

    const listening: Listening = {
      stream: first.stream,
      startedAt: first.startedAt,
      chunks: Stream.fromEffectRepeat(next),
      acknowledge: (position) =>
        Effect.sync(() => {
          if (position <= acknowledged) return
          acknowledged = position
          const { state } = attempts
          attempts.state = { ...state, acknowledgedLsn: Math.max(state.acknowledgedLsn, position) }
          current?.connection.acknowledge(position)
        })
    }
    return listening
  })

  return Listener.of({ identify, open, state: Effect.sync(() => attempts.state) })
})

export const layer: Layer.Layer<Listener, never, ChangeSource | SourceSettings | Heartbeat> = Layer.effect(
  Listener,
  make
)
