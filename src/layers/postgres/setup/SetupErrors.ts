/**
 * What a database said, as an error of `Setup`: a stable code (a heading of docs/errors.md), what was seen, and
 * the command that mends it. No value of a row and no password is in any of them.
 */
import type { SqlError } from "effect/sql/SqlError"
import { SetupError } from "../../../services/Setup.ts"

export interface Fault {
  readonly code: string
  readonly exitCode: 1 | 4
  /** What was seen; completes "Cannot …: ". */
  readonly seen: string
  readonly mend: string
}

export const failure = (
  code: string,
  exitCode: 1 | 4,
  summary: string,
  mend: string,
  cause?: unknown
): SetupError => new SetupError({ code, exitCode, summary, mend, ...(cause === undefined ? {} : { cause }) })

interface ServerFields {
  /** SQLSTATE, or Node's code of a socket error. */
  readonly code: string
  readonly message: string
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** Follows `cause` down to the error that has a code. */
export const serverFields = (error: SqlError): ServerFields => {
  let at: unknown = error.reason
  for (let depth = 0; depth < 5 && typeof at === "object" && at !== null; depth++) {
    const code = "code" in at ? text(at.code) : ""
    if (code !== "") return { code, message: "message" in at ? text(at.message) : "" }
    at = "cause" in at ? at.cause : undefined
  }
  return { code: "", message: error.message }
}

const connectionCodes = /^(?:ECONN|EHOST|ENET|ENOTFOUND|EAI_|EPIPE|ETIMEDOUT|ENOENT|EACCES|08|57P)/

const connectionFault = (fields: ServerFields, error: SqlError): Fault | undefined => {
  const { code, message } = fields
  if (/unsupported startup parameter|pgbouncer/i.test(message)) {
    return {
      code: "PoolerInUrl",
      exitCode: 4,
      seen: "a connection pooler answered, not Postgres; replication and session settings need Postgres itself",
      mend: "Give the URL of the Postgres server itself (its own host and port) instead of the pooler's."
    }
  }
  if (code === "28P01" || code === "28000") {
    return {
      code: "AuthenticationFailed",
      exitCode: 4,
      seen: `the server refused the login: ${message}`,
      mend: "Check user, password and pg_hba.conf:   psql \"$PGSTREAM_POSTGRES_LISTENER_URL\" -c 'select 1'"
    }
  }
  if (code === "3D000")
    return {
      code: "DatabaseMissing",
      exitCode: 4,
      seen: message,
      mend: "Name a database that exists in the URL, or make it:   createdb NAME"
    }
  if (code === "53300")
    return {
      code: "TooManyConnections",
      exitCode: 4,
      seen: message,
      mend: "Raise max_connections, or end sessions that are not needed."
    }
  if (connectionCodes.test(code) || error.reason._tag === "ConnectionError") {
    return {
      code: "ConnectionRefused",
      exitCode: 4,
      seen: `the server cannot be reached: ${message || code || error.message}`,
      mend: "Start Postgres, or correct host and port in the URL."
    }
  }
  return undefined
}

/** A fault of any statement; `do` names what an administrator has to grant, where that is known. */
export const faultOf = (error: SqlError, grant = ""): Fault => {
  const fields = serverFields(error)
  const connection = connectionFault(fields, error)
  if (connection !== undefined) return connection
  if (fields.code === "42501") {
    return {
      code: "NoPrivilege",
      exitCode: 4,
      seen: fields.message,
      mend:
        grant === ""
          ? "Run it with a role that may do this, or see what an administrator has to run:   pgstream init --print-sql"
          : grant
    }
  }
  if (fields.code === "53100" || fields.code === "53200")
    return {
      code: "ServerOutOfResources",
      exitCode: 4,
      seen: fields.message,
      mend: "Free disk space or memory on the server."
    }
  if (fields.code === "53400")
    return {
      code: "TooManySlots",
      exitCode: 4,
      seen: fields.message,
      mend: "Raise max_replication_slots in postgresql.conf and restart Postgres, or drop a slot that is not used."
    }
  if (fields.code === "55P03")
    return {
      code: "LockTimeout",
      exitCode: 1,
      seen: fields.message,
      mend: "Run it again when the sessions that hold the lock have ended."
    }
  return {
    code: "DatabaseError",
    exitCode: 1,
    seen: `${fields.message}${fields.code === "" ? "" : ` (SQLSTATE ${fields.code})`}`,
    mend: ""
  }
}

/** `could` completes "Cannot ", such as `create schema pgstream`. */
export const fromSql =
  (could: string, grant = "") =>
  (error: SqlError): SetupError => {
    const fault = faultOf(error, grant)
    return failure(fault.code, fault.exitCode, `Cannot ${could}: ${fault.seen}`, fault.mend, error)
  }
