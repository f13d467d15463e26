/**
 * A named token of the API, as the store has it: never the token itself, only the SHA-256 of it.
 *
 * A token is 256 random bits, so nobody finds it by trying: a slow hash with a salt, which passwords need, adds nothing
 * and would cost each request milliseconds.
 */
import * as Result from "effect/Result"

/** read: GET, without row values, bodies, and query and userinfo of URLs · manage: everything. */
export type TokenScope = "read" | "manage"

export const scopes: ReadonlyArray<TokenScope> = ["read", "manage"]

export interface ApiToken {
  readonly name: string
  readonly scope: TokenScope
  /** ms since 1970 */
  readonly createdAtMs: number
  /** ms since 1970; `undefined`: it does not end by itself. */
  readonly expiresAtMs: number | undefined
  /** `2026-11-24`, UTC; `undefined`: never yet. Kept by the day: a request costs no write. */
  readonly lastUsedOn: string | undefined
}

/** Random bytes of a token. */
export const BYTES = 32
/** So that a token is found in files and logs by those who look for leaks. */
export const PREFIX = "pgstream_"
/** Tokens of a store: each request is compared with all of them. */
export const MAX_TOKENS = 100
export const MAX_NAME = 63

/** `pgstream_` and base64url of the 32 bytes. */
export const format = (base64url: string): string => PREFIX + base64url

/** What is wrong with a name, or `undefined`. `local` is who needs no token. */
export const nameProblem = (name: string): string | undefined => {
  if (name === "local") return "is who needs no token; choose another"
  return /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(name) && name.length <= MAX_NAME
    ? undefined
    : `is no name of a token: 1 to ${MAX_NAME} letters, digits, dots and hyphens, a letter or digit first`
}

const MS_PER: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const MAX_DAYS = 3_650

/** ms of `90d`, `12h`, `30m`, `2w`: whole numbers. */
export const lifetimeMs = (text: string): Result.Result<number, string> => {
  const [, digits = "", unit = ""] = /^([0-9]{1,6})([mhdw])$/.exec(text) ?? []
  const ms = Number(digits) * (MS_PER[unit] ?? 0)
  if (digits === "" || ms === 0) return Result.fail("is no lifetime; write for example 90d, 12h or 30m")
  return ms <= MAX_DAYS * MS_PER["d"]! ? Result.succeed(ms) : Result.fail(`is longer than ${MAX_DAYS} days`)
}

export const isExpired = (token: Pick<ApiToken, "expiresAtMs">, nowMs: number): boolean =>
  token.expiresAtMs !== undefined && token.expiresAtMs <= nowMs

/** Whether `scope` is enough for a request: `read` asks, it changes nothing. */
export const allows = (scope: TokenScope, method: string): boolean =>
  scope === "manage" || method === "GET" || method === "HEAD"
