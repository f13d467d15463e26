/**
 * Memory of any size that is used again. Each new piece would be counted by V8 as a reason to collect all that is there,
 * and stay until it does.
 */

/** Sizes are multiples of it, so that what comes next mostly fits. */
const STEP_BYTES = 16 * 1024
/** Much more than was asked for is not given: little that stays for long must not hold much. */
const MAX_FACTOR = 4

export class SpareMemory {
  private readonly free: Array<Buffer> = []
  private freeBytes = 0
  private readonly maxFreeBytes: number

  /** `maxFreeBytes`: kept while nobody needs it. */
  constructor(maxFreeBytes: number) {
    this.maxFreeBytes = maxFreeBytes
  }

  /** With room for `bytes`. What is in it is left from before. */
  take(bytes: number): Buffer {
    const memory = this.free.pop()
    if (memory !== undefined) {
      this.freeBytes -= memory.byteLength
      if (memory.byteLength >= bytes && memory.byteLength <= Math.max(MAX_FACTOR * bytes, STEP_BYTES)) return memory
    }
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES)
  }

  /** Nobody reads or writes it any more. */
  put(memory: Buffer): void {
    if (this.freeBytes + memory.byteLength > this.maxFreeBytes) return
    this.freeBytes += memory.byteLength
    this.free.push(memory)
  }
}
