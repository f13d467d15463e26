/** What a refusal of the server means for a copy. */
import { TableReaderError } from "../../../services/TableReader.ts"
import { ServerError } from "../replication/sourceErrors.ts"

/** Table, schema or column that is not there under this name. */
const moved = new Set(["42P01", "3F000", "42703"])

export const isMoved = (error: TableReaderError): boolean => moved.has(error.state ?? "")

/**
 * Data exceptions and violated constraints name the value in their message, and what a function of the user raises may
 * say anything: only their code is kept.
 */
const summaryOf = (state: string, message: string): string =>
  /^(22|23|2F|38|39|P0)/.test(state) ? `the server refuses: SQLSTATE ${state}` : `the server says: ${message} (SQLSTATE ${state})`

/** Connection, resources, shutdown, serialization, deadlock, a standby that is not promoted yet, idle for too long. */
const transient = /^(08|53|57P|40|25006|25P03)/

export const failure = (cause: unknown): TableReaderError => {
  if (!(cause instanceof ServerError)) {
    return new TableReaderError({ kind: "lost", summary: cause instanceof Error ? cause.message : "the connection was lost" })
  }
  const state = cause.fields.code ?? ""
  const kind = state === "57014" ? "timeout" : state === "55P03" ? "locked" : transient.test(state) ? "lost" : "refused"
  return new TableReaderError({ kind, summary: summaryOf(state, cause.fields.message ?? "no message"), state })
}
