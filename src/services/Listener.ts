/**
 * First stage: follows the slot and hands on decoded chunks, in stream order, for as long as the process lives.
 *
 * Reconnects by itself after the last whole transaction that it handed on, and drops what it handed on already:
 * what comes out is one gapless stream without repeats. A permanent fault (and a new timeline) ends the stream
 * with an error; nothing else does.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Chunk } from "../domain/Chunk.ts"
import type { Lsn } from "../domain/Lsn.ts"
import type { StreamId } from "../domain/StreamId.ts"
import { SourceError } from "./ChangeSource.ts"

export interface Listening {
  readonly stream: StreamId
  /** Position from which the first chunk is handed on. */
  readonly startedAt: Lsn
  /** Pulled with backpressure; may be run once. */
  readonly chunks: Stream.Stream<Chunk, ListenerError>
  /** Everything at or below `position` is final for every endpoint. Monotonic: a lower one changes nothing. */
  acknowledge(position: Lsn): Effect.Effect<void>
}

/** What is known of the connection at this moment, for `/ready` and `status`. */
export interface ListenerState {
  readonly connected: boolean
  /** Since when, ms since 1970. */
  readonly sinceMs: number
  /** The last error, while not connected. */
  readonly lastError: string | undefined
  readonly receivedLsn: Lsn
  readonly acknowledgedLsn: Lsn
}

export class Listener extends Context.Service<Listener, {
  /** Which stream this is: asked before anything of it is loaded. */
  readonly identify: Effect.Effect<StreamId, ListenerError>
  open(from: Lsn): Effect.Effect<Listening, ListenerError, Scope.Scope>
  readonly state: Effect.Effect<ListenerState>
}>()("pgstream/services/Listener") {}

export class ListenerError extends Schema.TaggedError<ListenerError>()("ListenerError", {
  reason: Schema.Union([SourceError])
}) {
  override get message() {
    return this.reason.message
  }
}
