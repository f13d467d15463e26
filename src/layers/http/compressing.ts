/** Bodies in gzip. Small ones at once, large ones in Node's threads, so that a batch does not hold up the process. */
import { gzip, gzipSync } from "node:zlib"

/** Smaller bodies are sent as they are: the answer's round trip costs more than what is saved. */
export const MIN_BYTES = 1_024
/**
 * Up to here a body is compressed at once: the way to a thread and back costs 70–100 µs of CPU; 2 KiB of our JSON take
 * 10 µs, 50 KiB take 50 (docs/adr/0011).
 */
const AT_ONCE_BYTES = 64 * 1_024
/** 1 … 9. Higher levels take up to three times as long for the last percent: 0.10 and 0.10 of 50 KiB. */
const LEVEL = 1

/** `done` is called at once or later. */
export const compress = (body: Uint8Array, done: (compressed: Uint8Array) => void): void => {
  if (body.length <= AT_ONCE_BYTES) return done(gzipSync(body, { level: LEVEL }))
  gzip(body, { level: LEVEL }, (error, compressed) => {
    // Only memory can be missing; then the attempt ends at its timeout.
    if (error === null) done(compressed)
  })
}
