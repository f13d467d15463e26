/**
 * Memory that is used again: slabs of one size, and who still needs what is in them. V8 frees such memory only when it
 * collects its old generation, long after the last use.
 *
 * Who wants a slab to be used again holds it, and releases it once for each time. One that nobody ever held is left to
 * the collector, so that who knows nothing of this may keep pieces of a slab for as long as he likes.
 */
export class Slab {
  readonly bytes: Buffer
  private readonly slabs: Slabs
  private users = 0
  private wasHeld = false
  /** Its owner writes to it. */
  private open = true

  constructor(bytes: Buffer, slabs: Slabs) {
    this.bytes = bytes
    this.slabs = slabs
  }

  hold(): void {
    this.users++
    this.wasHeld = true
  }

  /** Once for each `hold`. After the last one, and `close`, the bytes are written to again. */
  release(): void {
    if (--this.users === 0 && !this.open) this.slabs.put(this)
  }

  /** Its owner writes elsewhere from now on. The last call of an owner. */
  close(): void {
    this.open = false
    if (this.users > 0) return
    if (this.wasHeld) this.slabs.put(this)
    else this.slabs.forget(this)
  }
}

export class Slabs {
  /** Bytes of those that were taken and not put back. */
  takenBytes = 0
  private readonly free: Array<Buffer> = []
  private readonly slabBytes: number
  private readonly maxFree: number

  /** `maxFree`: slabs that are kept while nobody needs them. */
  constructor(slabBytes: number, maxFree: number) {
    this.slabBytes = slabBytes
    this.maxFree = maxFree
  }

  /** With room for `bytes`. What is in it is left from before. A larger one than usual is made for this once. */
  take(bytes = 0): Slab {
    const memory = bytes > this.slabBytes
      ? Buffer.allocUnsafeSlow(bytes)
      : this.free.pop() ?? Buffer.allocUnsafeSlow(this.slabBytes)
    this.takenBytes += memory.byteLength
    return new Slab(memory, this)
  }

  put(slab: Slab): void {
    this.forget(slab)
    if (slab.bytes.byteLength === this.slabBytes && this.free.length < this.maxFree) this.free.push(slab.bytes)
  }

  forget(slab: Slab): void {
    this.takenBytes -= slab.bytes.byteLength
  }
}
