/**
 * Frames of the walsender → items of the stream. Pure and total: never throws; what cannot be read becomes an
 * `Undecodable` with its position, and the stream goes on.
 *
 * - Stateful: it remembers relations and the open transaction, so there is one decoder a connection, and a
 *   connection starts between transactions.
 * - `ordinal` counts from 0 the row changes, the relations of each TRUNCATE and the transactional messages of a
 *   transaction as the plugin hands them out, before any filter: tables of our own are counted and dropped.
 * - Rows of the schema `pgstream` are dropped, but for those of `ddl`, `webhook_subscriptions` and `marks`; so are
 *   messages with the prefix `pgstream`, but for the marks of copies.
 * - Lazy: the rows of a change are split into columns when somebody asks. Views keep the frame's buffer alive.
 */
import type { Item } from "./Chunk.ts"
import type { Frame } from "./Frame.ts"
import { PgoutputDecoder } from "./pgoutput/PgoutputDecoder.ts"
import type { Zone } from "./Timestamp.ts"
import { Wal2jsonDecoder } from "./wal2json/Wal2jsonDecoder.ts"

export interface Decoder {
  /** Appends what the frame stands for to `out`: nothing, one item, or one for each relation of a TRUNCATE. */
  push(frame: Frame, out: Array<Item>): void
}

export interface DecoderOptions {
  /** Bytes. A change in a larger frame is handed on as `Undecodable`. */
  readonly maxFrameBytes: number
  /** Zone of the walsender's session, for pgoutput's commit times (wal2json sends the text). Default UTC. */
  readonly zone?: Zone | undefined
}

/**
 * - pgoutput: protocol 1, `messages` on from 14, text values.
 * - wal2json: `format-version` 2 with `include-transaction`, `include-timestamp`, `include-lsn`, `include-types`, and
 *   `include-xids` (without it a transaction's `xid` is 0).
 */
export const make = (plugin: "pgoutput" | "wal2json", options: DecoderOptions): Decoder =>
  plugin === "pgoutput" ? new PgoutputDecoder(options) : new Wal2jsonDecoder(options)
