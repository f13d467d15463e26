/**
 * `Listener` over a `ChangeSource` and the decoder.
 *
 * Only the source opens again after a fault, behind the last whole transaction that was handed on; what was handed
 * on of the one after it is dropped (`ListenerProgress`). Acknowledgements go to the connection that is open; a new
 * connection hears of the last one at once.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Chunk, Item } from "../../domain/Chunk.ts"
import * as Decoder from "../../domain/Decoder.ts"
import type { Frames } from "../../domain/Frame.ts"
import * as Lsn from "../../domain/Lsn.ts"
import type { StreamId } from "../../domain/StreamId.ts"
import { ChangeSource, type SourceConnection, SourceError } from "../../services/ChangeSource.ts"
import { FailPoints } from "../../services/FailPoints.ts"
import { Heartbeat } from "../../services/Heartbeat.ts"
import { Listener, ListenerError, type Listening, type ListenerState } from "../../services/Listener.ts"
import { SourceSettings, type SourceSettingsShape } from "../../services/Settings.ts"
import { heartbeatLoop } from "./HeartbeatLoop.ts"
import { ListenerProgress } from "./ListenerProgress.ts"

interface Open {
  readonly connection: SourceConnection
  readonly decoder: Decoder.Decoder
  readonly scope: Scope.Closeable
}

/** Failures since the last frame that was read. */
interface Pace {
  attempts: number
}

/** Delay before attempt `n` (from 0), ms: doubles up to the limit; `random` (0 … 1) takes off up to half of it. */
export const backoffMs = (
  n: number,
  random: number,
  settings: Pick<SourceSettingsShape, "backoffInitialMs" | "backoffMaxMs">
): number =>
  Math.min(settings.backoffMaxMs, settings.backoffInitialMs * 2 ** Math.min(n, 30)) * (1 - random / 2)

const fail = (reason: SourceError) => Effect.fail(new ListenerError({ reason }))

const changed = (permanent: boolean, code: string, summary: string, mend: string) =>
  new SourceError({ code, permanent, summary, mend })

/** A reconnect must find the stream that it left. */
const whatChanged = (before: SourceConnection, now: SourceConnection): SourceError | undefined => {
  if (before.stream.systemIdentifier !== now.stream.systemIdentifier) {
    return changed(
      true,
      "SystemChanged",
      `The server is another one than before: system ${now.stream.systemIdentifier} instead of ${before.stream.systemIdentifier}.`,
      "Does the URL name the right server? pgstream status"
    )
  }
  if (before.timeline !== now.timeline) {
    return changed(
      false,
      "TimelineChanged",
      `The server is on timeline ${now.timeline}, before it was on ${before.timeline}: a standby took over. The pipeline starts again from what is settled.`,
      ""
    )
  }
  if (before.plugin !== now.plugin) {
    return changed(
      false,
      "PluginChanged",
      `The slot's plugin is ${now.plugin}, before it was ${before.plugin}. The pipeline starts again from what is settled.`,
      ""
    )
  }
  return undefined
}

const make = Effect.gen(function*() {
  const source = yield* ChangeSource
  const settings = yield* SourceSettings
  const heartbeat = yield* Heartbeat
  const { hit } = yield* FailPoints
  const now = yield* Clock.currentTimeMillis
  let state: ListenerState = {
    connected: false,
    sinceMs: now,
    lastError: undefined,
    receivedLsn: Lsn.zero,
    acknowledgedLsn: Lsn.zero
  }

  const setConnected = (connected: boolean, lastError: string | undefined) =>
    Effect.map(Clock.currentTimeMillis, (ms) => {
      state = {
        ...state,
        connected,
        lastError,
        sinceMs: connected === state.connected ? state.sinceMs : ms
      }
    })

  /** Tries until it succeeds or the fault is permanent. */
  const persist = <A>(
    pace: Pace,
    what: string,
    effect: Effect.Effect<A, SourceError>
  ): Effect.Effect<A, ListenerError> =>
    Effect.gen(function*() {
      for (;;) {
        if (pace.attempts > 0)
          yield* Effect.sleep(backoffMs(pace.attempts - 1, yield* Random.next, settings))
        const exit = yield* Effect.result(effect)
        if (exit._tag === "Success") return exit.success
        yield* setConnected(false, exit.failure.message)
        if (exit.failure.permanent) return yield* fail(exit.failure)
        yield* Effect.logWarning(what).pipe(
          Effect.annotateLogs({
            code: exit.failure.code,
            reason: exit.failure.summary,
            attempt: pace.attempts + 1
          })
        )
        pace.attempts++
      }
    })

  const identify: Effect.Effect<StreamId, ListenerError> = Effect.suspend(() =>
    persist({ attempts: 0 }, "The source cannot be reached; trying again.", source.identify)
  )

  const openSource = (from: Lsn.Lsn, parent: Scope.Scope) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(parent)
      const connection = yield* source.open(from).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      const decoder = Decoder.make(connection.plugin, { maxFrameBytes: settings.maxFrameBytes })
      const open: Open = { connection, decoder, scope }
      return open
    })

  const open = Effect.fn("Listener.open")(function*(from: Lsn.Lsn) {
    const parent = yield* Scope.Scope
    const pace: Pace = { attempts: 0 }
    const persistOpen = (from: Lsn.Lsn) =>
      persist(pace, "The slot cannot be read; trying again.", openSource(from, parent)).pipe(
        Effect.tap(() => setConnected(true, undefined))
      )
    let current: Open | undefined = yield* persistOpen(from)
    const first = current.connection
    const progress = new ListenerProgress(first.startedAt)
    let acknowledged: Lsn.Lsn = Lsn.zero
    state = { ...state, receivedLsn: first.startedAt, acknowledgedLsn: first.startedAt }

    const reopen = Effect.gen(function*() {
      const next = yield* persistOpen(progress.resumeAt)
      const problem = whatChanged(first, next.connection)
      if (problem !== undefined) {
        yield* Scope.close(next.scope, Exit.void)
        return yield* fail(problem)
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
      yield* setConnected(false, error.message)
      yield* Scope.close(was.scope, Exit.void)
      if (error.permanent) return yield* fail(error)
      yield* Effect.logWarning("The connection to the source was lost; opening it again.").pipe(
        Effect.annotateLogs({ code: error.code, reason: error.summary })
      )
      pace.attempts++
    })

    const decode = (decoder: Decoder.Decoder, { bytes, frames }: Frames): Chunk | undefined => {
      const decoded: Array<Item> = []
      for (const frame of frames) decoder.push(frame, decoded)
      const items = decoded.filter((item) => progress.accept(item))
      state = { ...state, receivedLsn: progress.handedOn }
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
          state = { ...state, acknowledgedLsn: Math.max(state.acknowledgedLsn, position) }
          current?.connection.acknowledge(position)
        })
    }
    return listening
  })

  return Listener.of({ identify, open, state: Effect.sync(() => state) })
})

export const layer: Layer.Layer<Listener, never, ChangeSource | SourceSettings | Heartbeat> = Layer.effect(
  Listener,
  make
)
