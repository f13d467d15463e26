/**
 * Cuts the server's bytes into messages inside the memory that they were read into.
 *
 * What is read next goes behind bytes that were handed over, or into another slab, to whose start an incomplete message
 * is copied. So a frame may be kept without a copy; it keeps its slab alive. Only a slab that somebody held (`slab`) is
 * written to again, once all who held it have released it.
 *
 * A message above the limit is cut: `limit` bytes of it are handed over, the rest is dropped as it arrives, so
 * that the memory held for one message stays bounded whatever a row holds.
 */
import { type Slab, Slabs } from "../../../domain/Slabs.ts"
import type { ByteReader } from "./openSocket.ts"

/** Memory of one read, bytes. */
export const SLAB_BYTES = 256 * 1024
/** With less room than this in a slab the next one is begun, bytes. */
const LEAST_ROOM_BYTES = 32 * 1024
/** Slabs that are kept for the next reads: what is read again at once after the reader ahead had stopped. */
const FREE_SLABS = 16
/** Type byte and length. */
const HEADER_BYTES = 5

export interface MessageHandlers {
  /** One message: its type byte, and its body `bytes[start … end)`. */
  readonly message: (type: number, bytes: Buffer, start: number, end: number) => void
  /** All of one read was handed over. `false` pauses the socket. */
  readonly batch: (bytesRead: number) => boolean
  /** The bytes are no messages: the connection cannot be used any more. */
  readonly corrupt: (problem: string) => void
}

export class MessageReader implements ByteReader {
  handlers: MessageHandlers
  readonly #limit: number
  readonly #slabs = new Slabs(SLAB_BYTES, FREE_SLABS)
  #memory = this.#slabs.take()
  #slab = this.#memory.bytes
  /** The first byte of the message that is not complete yet. */
  #start = 0
  #end = 0
  /** Bytes still to be dropped of a message above the limit. */
  #drop = 0

  /** `limit`: the longest body that is handed over whole, bytes. */
  constructor(limit: number, handlers: MessageHandlers) {
    this.#limit = limit
    this.handlers = handlers
  }

  /** Where the message is that is being handed over. */
  get slab(): Slab {
    return this.#memory
  }

  next(): Buffer {
    const pending = this.#end - this.#start
    const needed = this.#neededBytes(pending)
    const room = this.#slab.length - this.#end
    const tight = room === 0 || (room < LEAST_ROOM_BYTES && pending < LEAST_ROOM_BYTES)
    if (tight || needed > this.#slab.length - this.#start) this.#renew(needed, pending)
    return this.#end === 0 ? this.#slab : this.#slab.subarray(this.#end)
  }

  received(length: number): boolean {
    this.#take(length)
    return this.handlers.batch(length)
  }

  /** For sockets that bring their own memory (TLS): copies. */
  push(chunk: Buffer): boolean {
    for (let offset = 0; offset < chunk.length;) {
      const room = this.next()
      const length = Math.min(room.length, chunk.length - offset)
      chunk.copy(room, 0, offset, offset + length)
      offset += length
      this.#take(length)
    }
    return this.handlers.batch(chunk.length)
  }

  /** Length of the pending message as far as it will be kept, with its header; 0 while unknown. */
  #neededBytes(pending: number): number {
    if (pending < HEADER_BYTES) return 0
    return Math.min(this.#slab.readUInt32BE(this.#start + 1) + 1, HEADER_BYTES + this.#limit)
  }

  #renew(needed: number, pending: number): void {
    const memory = this.#slabs.take(needed)
    this.#slab.copy(memory.bytes, 0, this.#start, this.#end)
    this.#memory.close()
    this.#memory = memory
    this.#slab = memory.bytes
    this.#start = 0
    this.#end = pending
  }

  #take(length: number): void {
    if (this.#drop > 0) {
      const dropped = Math.min(this.#drop, length)
      this.#drop -= dropped
      if (dropped === length) return
      this.#start = this.#end + dropped
    }
    this.#end += length
    this.#walk()
  }

  #walk(): void {
    const slab = this.#slab
    const end = this.#end
    let start = this.#start
    while (end - start >= HEADER_BYTES) {
      const body = slab.readUInt32BE(start + 1) - 4
      if (body < 0 || body > 0x3fffffff) {
        this.#start = end
        return this.handlers.corrupt("a message has an impossible length")
      }
      const available = end - start - HEADER_BYTES
      if (body > this.#limit && available >= this.#limit) {
        this.handlers.message(slab[start]!, slab, start + HEADER_BYTES, start + HEADER_BYTES + this.#limit)
        const rest = available - body
        if (rest < 0) {
          this.#drop = -rest
          this.#start = end
          return
        }
        start += HEADER_BYTES + body
        continue
      }
      if (available < body) break
      this.handlers.message(slab[start]!, slab, start + HEADER_BYTES, start + HEADER_BYTES + body)
      start += HEADER_BYTES + body
    }
    this.#start = start
  }
}
