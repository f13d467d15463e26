/**
 * Where and how to connect to Postgres, read from a libpq-style URL.
 *
 * - `postgres://` or `postgresql://`, with and without a query; percent-encoding in every part; IPv6 in brackets;
 *   several hosts (`h1:1,h2:2`); a Unix socket directory as `%2Fpath` or `?host=/path`.
 * - The last `@` before the first `/` or `?` ends the password, so a raw `@`, `:` or `#` in it is read as meant.
 * - What the URL leaves out comes from the PG* variables, then from defaults: port 5432, database `postgres`
 *   (not the user's name), `sslmode=prefer`.
 * - A parameter that libpq does not know is a server setting, sent at the start of the session (as pgx does);
 *   the server refuses a misspelt one by name.
 * - Errors name the part and never show what it held: it may be a piece of the password.
 *
 * Source: PostgreSQL documentation, "Connection URIs", "Parameter Key Words", "Environment Variables".
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const
export type SslMode = (typeof sslModes)[number]

export interface HostPort {
  /** Name, address without brackets, or, beginning with `/`, the directory of a Unix socket. */
  readonly host: string
  readonly port: number
}

export interface ConnectionTarget {
  /** Tried in this order; never empty. */
  readonly hosts: ReadonlyArray<HostPort>
  readonly user: string
  readonly password: Redacted.Redacted<string> | undefined
  readonly database: string
  readonly sslMode: SslMode
  /** Paths of PEM files. */
  readonly sslRootCert: string | undefined
  readonly sslCert: string | undefined
  readonly sslKey: string | undefined
  /** Opens `sslKey`, when that is encrypted. */
  readonly sslPassword: Redacted.Redacted<string> | undefined
  readonly applicationName: string | undefined
  /** Command-line options for the server process (`-c name=value`). */
  readonly options: string | undefined
  /** Limit of one connection attempt to one host, seconds; default 10. */
  readonly connectTimeoutSeconds: number
  /** Server settings given as URL parameters of their own. */
  readonly parameters: Readonly<Record<string, string>>
}

/** `part` says which piece of the URL; nothing of the URL itself is in the message. */
export class PostgresUrlError extends Schema.TaggedError<PostgresUrlError>()("PostgresUrlError", {
  part: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `The Postgres URL cannot be used: ${this.part}: ${this.problem}`
  }
}

/** The variables that fill what the URL leaves out: `PGHOST`, `PGUSER`, …, and `USER`. */
export type Variables = Readonly<Record<string, string | undefined>>

const DEFAULT_PORT = 5432
const DEFAULT_CONNECT_TIMEOUT_SECONDS = 10
const ENCODE_HINT = "write / ? % in it as %2F %3F %25."
const SPECIAL_HINT = `Is there a special character in the password? Then ${ENCODE_HINT}`

/** What libpq knows and what here changes nothing: kept so that a URL that works with psql works here. */
const ignored = new Set([
  "sslcompression",
  "sslsni",
  "sslcertmode",
  "gssencmode",
  "gsslib",
  "krbsrvname",
  "gssdelegation",
  "keepalives",
  "keepalives_idle",
  "keepalives_interval",
  "keepalives_count",
  "tcp_user_timeout",
  "fallback_application_name",
  "client_encoding",
  "load_balance_hosts",
  "min_protocol_version",
  "max_protocol_version",
  "default_query_exec_mode",
  "statement_cache_capacity",
  "description_cache_capacity"
])
/** What would make a connection safer or another one than ours: refused rather than passed over. Value: what is accepted. */
const refusedUnless: Readonly<Record<string, ReadonlyArray<string>>> = {
  channel_binding: ["disable", "prefer"],
  require_auth: [],
  requirepeer: [],
  sslcrl: [],
  sslcrldir: [],
  sslnegotiation: ["postgres"],
  ssl_min_protocol_version: ["TLSv1.2"],
  ssl_max_protocol_version: [],
  hostaddr: [],
  passfile: [],
  service: [],
  servicefile: [],
  target_session_attrs: ["any"],
  replication: ["false", "off", "no", "0"]
}

const fail = (part: string, problem: string): never => {
  throw new PostgresUrlError({ part, problem })
}

const decode = (part: string, text: string): string => {
  try {
    const decoded = decodeURIComponent(text)
    return decoded.includes("\0") ? fail(part, "it contains a zero byte.") : decoded
  } catch (error) {
    if (error instanceof PostgresUrlError) throw error
    return fail(part, `it has a % that is no percent-encoding; ${ENCODE_HINT}`)
  }
}

const integer = (part: string, text: string, low: number, high: number): number => {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return value >= low && value <= high
    ? value
    : fail(part, `it is not a whole number from ${low} to ${high}. ${SPECIAL_HINT}`)
}

const portOf = (text: string): number => (text === "" ? DEFAULT_PORT : integer("port", text, 1, 65_535))

/** `host`, `host:port`, `[v6]:port`; an empty host stays empty. */
const splitHost = (text: string): { readonly host: string; readonly port: string } => {
  if (text.startsWith("[")) {
    const end = text.indexOf("]")
    if (end < 0) return fail("host", "an IPv6 address has no closing bracket.")
    const rest = text.slice(end + 1)
    if (rest !== "" && !rest.startsWith(":"))
      return fail("host", "there is text between the closing bracket and the port.")
    return { host: decode("host", text.slice(1, end)), port: rest.slice(1) }
  }
  const colon = text.lastIndexOf(":")
  return colon < 0
    ? { host: decode("host", text), port: "" }
    : { host: decode("host", text.slice(0, colon)), port: text.slice(colon + 1) }
}

/** Pairs hosts with ports as libpq does: one port for all, or one for each. */
const pair = (hosts: ReadonlyArray<string>, ports: ReadonlyArray<string>): ReadonlyArray<HostPort> => {
  if (ports.length > 1 && ports.length !== hosts.length) {
    return fail(
      "port",
      `there are ${ports.length} ports for ${hosts.length} hosts; give one, or one for each.`
    )
  }
  return hosts.map((host, index) => ({
    host: host === "" ? "localhost" : host,
    port: portOf((ports.length > 1 ? ports[index] : ports[0]) ?? "")
  }))
}

interface Pieces {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly hosts: ReadonlyArray<{ readonly host: string; readonly port: string }>
  readonly database: string
  readonly query: Map<string, string>
}

const split = (url: string): Pieces => {
  const scheme = /^postgres(?:ql)?:\/\//i.exec(url)
  if (scheme === null) return fail("scheme", "it does not begin with postgres:// or postgresql://.")
  const rest = url.slice(scheme[0].length)
  const end = /[/?]/.exec(rest)?.index ?? rest.length
  const authority = rest.slice(0, end)
  const questionMark = rest.indexOf("?", end)
  const path = questionMark < 0 ? rest.slice(end) : rest.slice(end, questionMark)
  const query = new Map<string, string>()
  for (const item of questionMark < 0 ? [] : rest.slice(questionMark + 1).split("&")) {
    if (item === "") continue
    const equals = item.indexOf("=")
    if (equals < 0) return fail("query", `a parameter has no value (name=value). ${SPECIAL_HINT}`)
    query.set(decode("query", item.slice(0, equals)), decode("query", item.slice(equals + 1)))
  }
  const at = authority.lastIndexOf("@")
  const userInfo = at < 0 ? undefined : authority.slice(0, at)
  const colon = userInfo?.indexOf(":") ?? -1
  return {
    user:
      userInfo === undefined ? undefined : decode("user", colon < 0 ? userInfo : userInfo.slice(0, colon)),
    password:
      userInfo === undefined || colon < 0 ? undefined : decode("password", userInfo.slice(colon + 1)),
    hosts: authority
      .slice(at + 1)
      .split(",")
      .map(splitHost),
    database: decode("database", path.slice(1)),
    query
  }
}

const hostsOf = (pieces: Pieces, taken: (name: string) => string | undefined, env: Variables) => {
  const fromQuery = taken("host")
  const ports = taken("port")
  if (fromQuery !== undefined) return pair(fromQuery.split(","), (ports ?? env["PGPORT"] ?? "").split(","))
  const named = pieces.hosts.some(({ host }) => host !== "")
  const names = named || !env["PGHOST"] ? pieces.hosts.map(({ host }) => host) : env["PGHOST"].split(",")
  const own = pieces.hosts.some(({ port }) => port !== "")
  if (ports !== undefined) return pair(names, ports.split(","))
  if (!own) return pair(names, (env["PGPORT"] ?? "").split(","))
  return pair(names, named ? pieces.hosts.map(({ port }) => port) : [pieces.hosts[0]!.port])
}

const sslModeOf = (text: string): SslMode =>
  sslModes.find((mode) => mode === text) ?? fail("sslmode", `it is none of ${sslModes.join(", ")}.`)

const parametersOf = (query: ReadonlyMap<string, string>): Record<string, string> => {
  const parameters: Record<string, string> = {}
  for (const [name, value] of query) {
    const accepted = refusedUnless[name]
    if (accepted?.includes(value) === false) {
      return fail(
        name,
        `pgstream does not have it${accepted.length === 0 ? "" : ` (only ${accepted.join(", ")})`}; take it out of the URL.`
      )
    }
    if (accepted !== undefined || ignored.has(name) || name.startsWith("pool_")) continue
    if (
      !/^[a-z_][a-z0-9_.]*$/i.test(name) ||
      name.startsWith("ssl") ||
      name === "user" ||
      name === "database"
    ) {
      return fail("query", `there is a parameter that neither libpq nor Postgres knows. ${SPECIAL_HINT}`)
    }
    parameters[name] = value
  }
  return parameters
}

const build = (url: string, env: Variables): ConnectionTarget => {
  const pieces = split(url)
  const taken = (name: string): string | undefined => {
    const value = pieces.query.get(name)
    pieces.query.delete(name)
    return value === "" ? undefined : value
  }
  const from = (name: string, variable: string) => taken(name) ?? (env[variable] || undefined)
  const secret = (text: string | undefined) =>
    text === undefined || text === "" ? undefined : Redacted.make(text)
  const hosts = hostsOf(pieces, taken, env)
  const userParameter = taken("user")
  const passwordParameter = taken("password")
  const databaseParameter = taken("dbname")
  const user = pieces.user || userParameter || env["PGUSER"] || env["USER"]
  if (user === undefined || user === "") return fail("user", "there is none, and PGUSER is not set.")
  const sslMode = sslModeOf(from("sslmode", "PGSSLMODE") ?? "prefer")
  const timeout = from("connect_timeout", "PGCONNECT_TIMEOUT") ?? "0"
  return {
    hosts,
    user,
    password: secret(pieces.password || passwordParameter || env["PGPASSWORD"]),
    database: pieces.database || databaseParameter || env["PGDATABASE"] || "postgres",
    sslMode,
    sslRootCert: from("sslrootcert", "PGSSLROOTCERT"),
    sslCert: from("sslcert", "PGSSLCERT"),
    sslKey: from("sslkey", "PGSSLKEY"),
    sslPassword: secret(taken("sslpassword")),
    applicationName: from("application_name", "PGAPPNAME"),
    options: from("options", "PGOPTIONS"),
    connectTimeoutSeconds:
      integer("connect_timeout", timeout, 0, 86_400) || DEFAULT_CONNECT_TIMEOUT_SECONDS,
    parameters: parametersOf(pieces.query)
  }
}

/** Reads `url`; `variables` fill what it leaves out. Never throws, never shows a value. */
export const parse = (
  url: Redacted.Redacted<string>,
  variables: Variables = {}
): Result.Result<ConnectionTarget, PostgresUrlError> => {
  try {
    return Result.succeed(build(Redacted.value(url), variables))
  } catch (error) {
    if (error instanceof PostgresUrlError) return Result.fail(error)
    throw error
  }
}

const hostText = ({ host, port }: HostPort): string => {
  const name = host.includes("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host
  return `${name}:${port}`
}

const locate = (target: ConnectionTarget, userInfo: string): string =>
  `postgres://${userInfo}@${target.hosts.map(hostText).join(",")}/${encodeURIComponent(target.database)}`

/** Printable: hosts, database, user, sslmode. No password. */
export const describe = (target: ConnectionTarget): string =>
  `${locate(target, encodeURIComponent(target.user))}?sslmode=${target.sslMode}`

/** The complete URL of `target`, which `parse` reads back without any variable. */
export const toUrl = (target: ConnectionTarget): Redacted.Redacted<string> => {
  const password =
    target.password === undefined ? "" : `:${encodeURIComponent(Redacted.value(target.password))}`
  const query: ReadonlyArray<readonly [string, string | undefined]> = [
    ["sslmode", target.sslMode],
    ["sslrootcert", target.sslRootCert],
    ["sslcert", target.sslCert],
    ["sslkey", target.sslKey],
    ["sslpassword", target.sslPassword && Redacted.value(target.sslPassword)],
    ["application_name", target.applicationName],
    ["options", target.options],
    ["connect_timeout", String(target.connectTimeoutSeconds)],
    ...Object.entries(target.parameters)
  ]
  const parameters = query.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
  )
  return Redacted.make(
    `${locate(target, encodeURIComponent(target.user) + password)}?${parameters.join("&")}`
  )
}
