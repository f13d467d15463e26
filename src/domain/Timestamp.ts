/**
 * Commit times: microseconds since 2000-01-01 UTC, as the WAL has them, and the text that Postgres prints for a
 * `timestamptz` under `datestyle = ISO`: `2026-11-24 00:12:21.22944+00` (zeros at the end of the fraction cut).
 *
 * Source: PostgreSQL, `timestamptz_out`.
 */

/** 2000-01-01 in ms since 1970. */
const EPOCH_MS = Date.UTC(2000, 0, 1)
const QUARTER_MS = 900_000

/** Seconds east of UTC at a moment (ms since 1970). */
export type Zone = (atMs: number) => number

const utc: Zone = () => 0

/** The zone of an IANA name; `undefined` where this runtime does not know it. Offsets change at quarter hours only. */
export const zone = (name: string): Zone | undefined => {
  if (/^(utc|gmt|etc\/utc|z)$/i.test(name)) return utc
  try {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" })
    let quarter = Number.NaN
    let offset = 0
    return (atMs) => {
      const at = Math.floor(atMs / QUARTER_MS)
      if (at === quarter) return offset
      const text = format.formatToParts(at * QUARTER_MS).find((part) => part.type === "timeZoneName")?.value ?? ""
      const match = /([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(text)
      const seconds = match === null ? 0 : Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0)
      quarter = at
      offset = match?.[1] === "-" ? -seconds : seconds
      return offset
    }
  } catch {
    return undefined
  }
}

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`)

const offsetText = (seconds: number): string => {
  const size = Math.abs(seconds)
  const hours = two(Math.floor(size / 3600))
  const minutes = Math.floor((size % 3600) / 60)
  const rest = size % 60
  const tail = rest === 0 ? (minutes === 0 ? "" : `:${two(minutes)}`) : `:${two(minutes)}:${two(rest)}`
  return `${seconds < 0 ? "-" : "+"}${hours}${tail}`
}

/** Text of a commit time. Outside of what a `Date` holds: `""`. */
export const format = (us: number, inZone: Zone = utc): string => {
  const ms = Math.floor(us / 1000)
  const micros = us - Math.floor(us / 1_000_000) * 1_000_000
  const offset = inZone(EPOCH_MS + ms)
  const date = new Date(EPOCH_MS + ms + offset * 1000)
  const year = date.getUTCFullYear()
  if (Number.isNaN(year)) return ""
  const shownYear = year > 0 ? year : 1 - year
  const fraction = micros === 0 ? "" : `.${String(micros).padStart(6, "0").replace(/0+$/, "")}`
  return `${String(shownYear).padStart(4, "0")}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())} ` +
    `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}${fraction}` +
    `${offsetText(offset)}${year > 0 ? "" : " BC"}`
}

const PATTERN = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/

/** Reads the text form; `undefined` for anything else. Exact to the microsecond. */
export const parse = (text: string): number | undefined => {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  const at = (index: number): number => Number(match[index] ?? 0)
  const offset = (at(9) * 3600 + at(10) * 60 + at(11)) * (match[8] === "-" ? -1 : 1)
  const ms = Date.UTC(at(1), at(2) - 1, at(3), at(4), at(5), at(6)) - EPOCH_MS - offset * 1000
  const micros = Number((match[7] ?? "").padEnd(6, "0"))
  return Number.isNaN(ms) ? undefined : ms * 1000 + micros
}
