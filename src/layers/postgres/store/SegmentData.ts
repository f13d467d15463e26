/**
 * The column `data` of a segment: the bytes of `SegmentCodec`, compressed where that makes them smaller, and sealed.
 *
 * - First byte: 1 plain, 2 zstd (level 1: below 1 µs an event, a fourth of the bytes; docs/adr/0010). Sealed ones begin
 *   with another (Seals).
 * - Additional data of the seal: the table's number and the segment's, which no move changes.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from "node:zlib"
import { SegmentUnreadable } from "../../../domain/SegmentCodec.ts"
import { SealError, type Seals } from "./Seals.ts"

const PLAIN = 1
const ZSTD = 2
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** From this size on it is done in another thread: it takes longer than the hop. */
const LARGE_BYTES = 1024 * 1024
/** Greatest size of a segment: what a value of Postgres may have. */
const MAX_BYTES = 1024 * 1024 * 1024

const seenIn = (cause: unknown): string => {
  if (cause instanceof SealError) return "it was changed, or moved from another row"
  return cause instanceof Error ? cause.message : "its bytes were changed"
}

/** The stored bytes are no segment. Says what to do: without it the endpoints that wait in it wait for ever. */
export class SegmentDamaged extends Schema.TaggedError<SegmentDamaged>()("SegmentDamaged", {
  table: Schema.Int,
  segment: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    const { cause, segment } = this
    const table = `pgstream.webhook_segments_${this.table}`
    const what = `Segment ${segment} of ${table} cannot be read`
    if (cause instanceof SealError && !cause.known) return `${what}: ${cause.message}`
    const newer = cause instanceof SegmentUnreadable && cause.isOther ? "Run the newer pgstream that wrote it. If none did: r" : "R"
    return `${what}: ${seenIn(cause)}. ${newer}estore that row from a backup; or stop pgstream, give up what is in the row, and start again:   `
      + `DELETE FROM ${table} WHERE number = ${segment}   (SegmentUnreadable)`
  }
}

/** What `effect` fails with, as the segment's damage. */
export const asDamage = (table: number, segment: number) =>
  <A>(effect: Effect.Effect<A, unknown>): Effect.Effect<A, SegmentDamaged> =>
    Effect.mapError(effect, (cause) => new SegmentDamaged({ table, segment, cause }))

const contextOf = (table: number, segment: number): string => `segment ${table} ${segment}`

const inThread = (
  work: (bytes: Uint8Array, done: (error: Error | null, result: Uint8Array) => void) => void, bytes: Uint8Array
): Effect.Effect<Uint8Array, Error> =>
  Effect.callback((resume) => work(bytes, (error, result) => resume(error === null ? Effect.succeed(result) : Effect.fail(error))))

const compressed = (bytes: Uint8Array): Effect.Effect<Uint8Array, Error> =>
  bytes.byteLength < LARGE_BYTES
    ? Effect.sync(() => zstdCompressSync(bytes, OPTIONS))
    : inThread((input, done) => zstdCompress(input, OPTIONS, done), bytes)

/** What is stored. */
export const pack = (seals: Seals, table: number, segment: number, bytes: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.map(Effect.orDie(compressed(bytes)), (small) => {
    const [form, body] = small.byteLength < bytes.byteLength ? [ZSTD, small] : [PLAIN, bytes]
    const stored = new Uint8Array(body.byteLength + 1)
    stored[0] = form
    stored.set(body, 1)
    return seals.seal(stored, contextOf(table, segment))
  })

const decompressed = (bytes: Uint8Array): Effect.Effect<Uint8Array, Error> =>
  bytes.byteLength < LARGE_BYTES
    ? Effect.try({
        try: () => zstdDecompressSync(bytes, { maxOutputLength: MAX_BYTES }),
        catch: () => new Error("it does not decompress")
      })
    : inThread((input, done) => zstdDecompress(input, { maxOutputLength: MAX_BYTES }, done), bytes)

/** The bytes of `SegmentCodec`; bodies are views of them. */
export const unpack = (
  seals: Seals, table: number, segment: number, stored: Uint8Array
): Effect.Effect<Uint8Array, SegmentDamaged> =>
  Effect.fromResult(seals.open(stored, contextOf(table, segment))).pipe(
    Effect.flatMap((opened): Effect.Effect<Uint8Array, Error> => {
      if (opened[0] === ZSTD) return decompressed(opened.subarray(1))
      return opened[0] === PLAIN ? Effect.succeed(opened.subarray(1)) : Effect.fail(new Error("its form is not known"))
    }),
    asDamage(table, segment)
  )
