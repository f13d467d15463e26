/**
 * Moves a slot that nothing else moves: a transaction of ours that means nothing, so that the stream has a commit
 * whose position can be acknowledged. It is never delivered.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SourceError } from "./ChangeSource.ts"

export class Heartbeat extends Context.Service<Heartbeat, {
  /** Bytes from the slot's `confirmed_flush_lsn` to the end of the WAL. */
  readonly behindBytes: Effect.Effect<number, SourceError>
  /** Commits one transaction that the slot hands out. */
  readonly beat: Effect.Effect<void, SourceError>
}>()("pgstream/services/Heartbeat") {}
