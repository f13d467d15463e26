/**
 * Texts of the configuration into values. Pure; a failure is a sentence that says what is allowed.
 *
 * - Durations: Go's form, `60s`, `500ms`, `1m30s`, `1.5h`; in ms. A number without unit is an error (`0` is not).
 * - Bytes: a whole number, or one with B, KB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024).
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Timestamp from "../../domain/Timestamp.ts"

export type Parsed<A> = Result.Result<A, string>

const msPer: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, "µs": 1e-3, "μs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

export const durationMs = (text: string): Parsed<number> => {
  if (text === "0") return Result.succeed(0)
  const body = text.replace(/^[+-]/, "")
  if (/^\d+(?:\.\d+)?$/.test(body)) return Result.fail(`"${text}" has no unit; write ${text}s or ${text}ms`)
  const parts = [...body.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy)]
  if (parts.length === 0 || parts.reduce((sum, part) => sum + part[0].length, 0) !== body.length) {
    return Result.fail(`is no duration; write for example 60s, 500ms, 1m30s or 1h`)
  }
  const ms = parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (msPer[unit ?? ""] ?? 0), 0)
  const rounded = ms > 0 && ms < 1 ? 1 : Math.round(ms)
  if (rounded > 2_147_483_647) return Result.fail(`is longer than 24 days`)
  return Result.succeed(text.startsWith("-") ? -rounded : rounded)
}

const bytesPer: Readonly<Record<string, number>> = {
  "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, k: 1024, m: 1024 ** 2, g: 1024 ** 3, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3
}

export const bytes = (text: string): Parsed<number> => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text)
  const unit = bytesPer[(match?.[2] ?? "?").toLowerCase()]
  if (match === null || unit === undefined) return Result.fail(`is no size; write for example 1048576, 512KiB or 100MiB`)
  const value = Math.round(Number(match[1]) * unit)
  return value >= 1 && Number.isSafeInteger(value) ? Result.succeed(value) : Result.fail("must be at least 1 byte")
}

export const boolean = (text: string): Parsed<boolean> => {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return Result.succeed(true)
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return Result.succeed(false)
  return Result.fail(`is neither true nor false`)
}

export const count = (text: string, [least, most]: readonly [number, number]): Parsed<number> => {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= least && value <= most
    ? Result.succeed(value)
    : Result.fail(`must be a whole number from ${least} to ${most}`)
}

/** `host:port`. `""` as host: every interface. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly loopback: boolean
}

export const address = (text: string): Parsed<Address> => {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^:[\]\s/]*)):(\d{1,5})$/i.exec(text)
  if (match === null) {
    return Result.fail(/^\d+$/.test(text) ? `is a port alone; write 127.0.0.1:${text}` : `is no address; write host:port, for example 127.0.0.1:9900`)
  }
  const host = match[1] ?? match[2] ?? ""
  const port = Number(match[3])
  if (port > 65_535) return Result.fail(`has a port above 65535`)
  const loopback = host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)
  return Result.succeed({ host, port, loopback })
}

/** A zone by name. No `+02:00`: Postgres takes the sign of that the other way round. */
export const timezone = (text: string): Parsed<string> =>
  /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(text) && Timestamp.zone(text) !== undefined
    ? Result.succeed(text)
    : Result.fail(`is no zone that is known here; write its IANA name, for example Europe/Madrid or UTC`)

export const slotName = (text: string): Parsed<string> =>
  /^[a-z0-9_]{1,63}$/.test(text)
    ? Result.succeed(text)
    : Result.fail(`is no name of a slot; 1 to 63 of a-z, 0-9 and _ are allowed`)

/** `pgstream_<database>_slot`: `.` and `-` become `_`, letters lower case. Fails if what is left is no name of a slot. */
export const defaultSlotName = (database: string): Parsed<string> =>
  slotName(`pgstream_${database.toLowerCase().replaceAll(/[.-]/g, "_")}_slot`)

const KEY_BYTES = 32
const NO_KEY = `is no key: it must be ${KEY_BYTES} bytes in base64 or hex. Make one:   openssl rand -base64 ${KEY_BYTES}`

/** Never shows the text. */
export const secretKey = (text: string): Parsed<Redacted.Redacted<Uint8Array>> => {
  const given = text.trim()
  const bytes = /^[0-9a-f]{64}$/i.test(given)
    ? Buffer.from(given, "hex")
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(given) ? Buffer.from(given, "base64") : Buffer.alloc(0)
  return bytes.length === KEY_BYTES ? Result.succeed(Redacted.make(bytes)) : Result.fail(NO_KEY)
}

/** Blanks or commas between. */
export const secretKeys = (text: string): Parsed<ReadonlyArray<Redacted.Redacted<Uint8Array>>> =>
  Result.all(text.split(/[\s,]+/).filter((part) => part !== "").map(secretKey))
