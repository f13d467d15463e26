/**
 * A byte position in the Postgres write-ahead log.
 *
 * - Shape: a safe integer, `0 … 2^53 - 1` (nine petabytes of WAL); unit: bytes since the start of the WAL.
 *   A `number`, not a `bigint`: positions are compared for every change, and BigInt costs six times as much
 *   (docs/adr/0002). Text above the range is refused by `parse`, never rounded.
 * - Text form: two upper-case hex halves without leading zeros, `"16/B374D848"`.
 * - Order: `<` on the number is WAL order. Never compare the text form.
 * - Source: PostgreSQL documentation, "pg_lsn Type".
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export type Lsn = number

/** The position that Postgres writes as `0/0`: none. */
export const zero: Lsn = 0

const HALF = 2 ** 32

export class LsnParseError extends Schema.TaggedError<LsnParseError>()("LsnParseError", {
  text: Schema.String
}) {
  override get message() {
    return `Not a WAL position: ${JSON.stringify(this.text)}. Expected two hex halves, such as "16/B374D848".`
  }
}

/** Reads the text form. Never throws, never rounds. */
export const parse = (text: string): Result.Result<Lsn, LsnParseError> => {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (match === null) return Result.fail(new LsnParseError({ text }))
  const lsn = parseInt(match[1]!, 16) * HALF + parseInt(match[2]!, 16)
  return Number.isSafeInteger(lsn) ? Result.succeed(lsn) : Result.fail(new LsnParseError({ text }))
}

/** The text form, as Postgres prints it. */
export const format = (lsn: Lsn): string =>
  `${Math.floor(lsn / HALF).toString(16).toUpperCase()}/${(lsn % HALF).toString(16).toUpperCase()}`

/** Sixteen lower-case hex digits: the form inside an event id. */
export const toHex16 = (lsn: Lsn): string => lsn.toString(16).padStart(16, "0")

/** Reads eight bytes, big endian, at `offset`. Exact for positions of `Lsn`'s range. */
export const read = (bytes: Buffer, offset: number): Lsn =>
  bytes.readUInt32BE(offset) * HALF + bytes.readUInt32BE(offset + 4)

/** Writes eight bytes, big endian, at `offset`. */
export const write = (bytes: Buffer, offset: number, lsn: Lsn): void => {
  bytes.writeUInt32BE(Math.floor(lsn / HALF), offset)
  bytes.writeUInt32BE(lsn % HALF, offset + 4)
}
