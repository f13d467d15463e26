/** Bodies in gzip. Small ones at once, large ones in Node's threads, so that a batch does not hold up the process. */
import { gzip, gzipSync } from "node:zlib"

/** Smaller bodies are sent as they are: the answer's round trip costs more than what is saved. */
export const MIN_BYTES = 1_024
/** Up to here the call costs less than the way to a thread and back. */
const AT_ONCE_BYTES = 16 * 1_024
/** 1 (fast) … 9. */
const LEVEL = 1

/** `done` is called at once or later. */
export const compress = (body: Uint8Array, done: (compressed: Uint8Array) => void): void => {
  if (body.length <= AT_ONCE_BYTES) return done(gzipSync(body, { level: LEVEL }))
  gzip(body, { level: LEVEL }, (error, compressed) => {
    // Only memory can be missing; then the attempt ends at its timeout.
    if (error === null) done(compressed)
  })
}
