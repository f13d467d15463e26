/** Entries that may be sent, oldest first. One that went elsewhere meanwhile is passed over. */
import type { Entry } from "./Entry.ts"

export class ReadyQueue {
  private items: Array<Entry | undefined> = []
  private head = 0

  /** Nothing was put in that was not taken out. */
  get isEmpty(): boolean {
    return this.items.length === 0
  }

  /** Those that were put in and not taken out. */
  get size(): number {
    return this.items.length - this.head
  }

  push(entry: Entry): void {
    this.items.push(entry)
  }

  /** All that is in it went elsewhere. */
  clear(): void {
    this.items.length = 0
    this.head = 0
  }

  shift(): Entry | undefined {
    while (this.head < this.items.length) {
      const entry = this.items[this.head]!
      this.items[this.head++] = undefined
      if (this.head === this.items.length) this.clear()
      else if (this.head > 1024 && this.head * 2 > this.items.length) {
        this.items = this.items.slice(this.head)
        this.head = 0
      }
      if (entry.where === "ready") return entry
    }
    return undefined
  }
}
