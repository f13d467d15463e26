/**
 * What `test` sends to an endpoint: a logical message (`M`) of the prefix `pgstream.test`, in the form of every other
 * body. Its `webhook-id` begins with `test-`; it has no number, and belongs to no transaction.
 */
import * as Timestamp from "./Timestamp.ts"

export const PREFIX = "pgstream.test"
export const ID_PREFIX = "test-"

/** Postgres counts from 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1)

export const body = (nowMs: number): string =>
  JSON.stringify({
    Data: {
      action: "M",
      timestamp: Timestamp.format((nowMs - EPOCH_MS) * 1_000),
      lsn: "0/0",
      schema: "",
      table: "",
      columns: null,
      identity: null,
      metadata: { schema_id: null, table_pgstream_id: "", id_col_pgstream_id: null, version_col_pgstream_id: "" },
      prefix: PREFIX,
      content: "A test of this endpoint: nothing was changed in the database."
    }
  })
