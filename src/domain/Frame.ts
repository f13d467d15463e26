/**
 * One CopyData message of the walsender, without copying: `bytes[start … end)` is the plugin's payload (for a
 * keepalive there is none). The buffer belongs to the frame's chunk: it is written to again when the source
 * is asked for the next one.
 *
 * Source: PostgreSQL documentation, "Streaming Replication Protocol".
 */
import type { Lsn } from "./Lsn.ts"

export interface Frame {
  readonly keepalive: boolean
  /** XLogData: its start (the LSN of the change). Keepalive: the server's WAL end. */
  readonly lsn: Lsn
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** Frames cut at message boundaries. */
export interface Frames {
  readonly frames: ReadonlyArray<Frame>
  readonly bytes: number
}
