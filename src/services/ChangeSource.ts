/**
 * The driver under the Listener: one connection that reads one slot.
 *
 * - Demand-driven: frames are read from the socket only while somebody pulls; what is read ahead is bounded.
 * - Keepalives are answered, and the settled position is sent at least every wal_sender_timeout/3, also while
 *   nobody pulls for minutes.
 * - Acknowledges exactly what it is told, never less than it was told before, never a computed value.
 * - A slot has one reader: a source is opened only after the previous one is closed.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Frames } from "../domain/Frame.ts"
import type { Lsn } from "../domain/Lsn.ts"
import type { StreamId } from "../domain/StreamId.ts"

export type Plugin = "pgoutput" | "wal2json"

export interface SourceConnection {
  readonly stream: StreamId
  readonly plugin: Plugin
  /** Where the server really starts: the greater of what was asked for and the slot's `confirmed_flush_lsn`. */
  readonly startedAt: Lsn
  /** Server version number, as `server_version_num` (150020). */
  readonly serverVersion: number
  /** Timeline of IDENTIFY_SYSTEM. A reconnect that finds another one restarts the pipeline. */
  readonly timeline: number
  /**
   * The next frames; waits until there are some. Never empty. Fails when the connection is lost. One caller at a time.
   * Their bytes hold until it is called again: then their memory is written to.
   */
  readonly read: Effect.Effect<Frames, SourceError>
  /** Everything at or below `position` is final. Coalesced; sent soon, and once more when the scope closes. */
  acknowledge(position: Lsn): void
}

export class ChangeSource extends Context.Service<ChangeSource, {
  readonly identify: Effect.Effect<StreamId, SourceError>
  /**
   * Checks what can be checked (slot, plugin, publication, position against the WAL end), then starts the stream.
   * The connection lives as long as the scope; interrupting `read` does not end it.
   */
  open(from: Lsn): Effect.Effect<SourceConnection, SourceError, Scope.Scope>
}>()("pgstream/services/ChangeSource") {}

/** Why the source failed. `permanent`: no retry will help until somebody acts; `mend` is the command or step that does. */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  /** Stable code, a heading of docs/errors.md: SlotMissing, SlotInUse, SlotInvalidated, PublicationMissing, PluginNotAllowed, WalLevel, PositionAheadOfWal, AuthenticationFailed, TlsFailed, ConnectionLost, ConnectionRefused, PoolerInUrl, NoPrivilege, … */
  code: Schema.String,
  permanent: Schema.Boolean,
  /** What could not be done, and what was seen. No secret. */
  summary: Schema.String,
  mend: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return this.mend === "" ? `${this.summary}  ${this.code}` : `${this.summary}\n\n  ${this.mend}\n\n${this.code}`
  }
}
