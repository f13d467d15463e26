/**
 * What a server, a socket or TLS said, as a `SourceError` with a stable code and what mends it.
 *
 * Never holds a password: the target is printed by `PostgresUrl.describe`, and server messages name the user only.
 */
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import { SourceError } from "../../../services/ChangeSource.ts"

/** Fields of an ErrorResponse or NoticeResponse that decide. */
export interface ServerFields {
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly routine?: string | undefined
}

/** An ErrorResponse, before anybody has said what it means. */
export class ServerError extends Error {
  readonly fields: ServerFields
  constructor(fields: ServerFields) {
    super(`${fields.message ?? "no message"} (SQLSTATE ${fields.code ?? "unknown"})`)
    this.name = "ServerError"
    this.fields = fields
  }
}

interface Verdict {
  readonly code: string
  readonly permanent: boolean
  readonly mend: string
}

const CHECK_URL = "Check the URL: pgstream status --postgres-url <url>"

export const pooler: Verdict = {
  code: "PoolerInUrl",
  permanent: true,
  mend: "A connection pooler (PgBouncer or the like) answered. Replication needs the database itself: put its own host and port into the URL."
}

/** By SQLSTATE; what is not here is a lost connection, which is tried again. */
const byState: Readonly<Record<string, Verdict>> = {
  "28P01": {
    code: "AuthenticationFailed",
    permanent: true,
    mend: `The password or user is wrong. ${CHECK_URL}`
  },
  "28000": {
    code: "AuthenticationFailed",
    permanent: true,
    mend: "pg_hba.conf has no entry that lets this user in that way (TLS or not, database, address). Add one, then: SELECT pg_reload_conf()"
  },
  "3D000": { code: "DatabaseMissing", permanent: true, mend: `The database does not exist. ${CHECK_URL}` },
  "42704": {
    code: "BadParameter",
    permanent: true,
    mend: "Take the setting that the message names out of the URL."
  },
  "22023": {
    code: "BadParameter",
    permanent: true,
    mend: "Mend the setting that the message names in the URL."
  },
  "42501": {
    code: "NoPrivilege",
    permanent: true,
    mend: "Grant it as an administrator: ALTER ROLE <role> REPLICATION"
  }
}

/** PgBouncer refuses settings that it does not pass on with words and a state that Postgres itself never uses. */
const isPooler = (fields: ServerFields): boolean =>
  (fields.code === "08P01" && /unsupported startup parameter|pgbouncer/i.test(fields.message ?? "")) ||
  /no such database: |pgbouncer cannot|bouncer config error/i.test(fields.message ?? "")

export const verdictOf = (fields: ServerFields): Verdict =>
  isPooler(fields)
    ? pooler
    : (byState[fields.code ?? ""] ?? { code: "ConnectionLost", permanent: false, mend: "" })

const hasCode = (cause: unknown): cause is { readonly code: string } =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : "no reason given")

const isTls = (cause: unknown): boolean =>
  hasCode(cause) &&
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|ERR_CRYPTO)/.test(
    cause.code
  )

/** A failure to connect to, or of the connection to, `target`. */
export const fromCause = (target: PostgresUrl.ConnectionTarget, cause: unknown): SourceError => {
  if (cause instanceof SourceError) return cause
  const where = PostgresUrl.describe(target)
  if (cause instanceof ServerError) {
    return new SourceError({
      ...verdictOf(cause.fields),
      summary: `Cannot use ${where}: the server says: ${cause.message}`,
      cause
    })
  }
  if (isTls(cause)) {
    return tlsFailed(
      `Cannot connect to ${where} by TLS: ${messageOf(cause)}`,
      "Check sslmode, sslrootcert, sslcert and sslkey in the URL against the server's certificate.",
      cause
    )
  }
  const refused =
    hasCode(cause) &&
    [
      "ECONNREFUSED",
      "ENOENT",
      "EHOSTUNREACH",
      "ENETUNREACH",
      "ENOTFOUND",
      "EAI_AGAIN",
      "ETIMEDOUT"
    ].includes(cause.code)
  return new SourceError({
    code: refused ? "ConnectionRefused" : "ConnectionLost",
    permanent: false,
    summary: `${refused ? "Cannot connect to" : "Lost the connection to"} ${where}: ${messageOf(cause)}`,
    mend: refused ? "Is the server up, and are host and port right? pg_isready -h <host> -p <port>" : "",
    cause
  })
}

export const tlsFailed = (summary: string, mend: string, cause?: unknown): SourceError =>
  new SourceError({ code: "TlsFailed", permanent: true, summary, mend, cause })
