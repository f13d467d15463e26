/** When the next round of a feeder begins: on demand, one at a time, with a pause in between. */
import type { Alarms } from "./Alarms.ts"

/** Pause between two rounds, ms, at least; and as a multiple of the time that the last one's scans took. */
const PAUSE_MS = 20
const PAUSE_FACTOR = 4

export class FeedSchedule {
  private running = false
  private nextMs = Infinity
  private earliestMs = 0
  /** Times of alarms that were set and have not come, each before the one under it. */
  private readonly armed: Array<number> = []
  private readonly alarms: Alarms
  private readonly now: () => number
  private readonly begin: () => boolean

  /** `begin` starts a round and says whether it did; what makes a round possible later has to ask again. */
  constructor(alarms: Alarms, now: () => number, begin: () => boolean) {
    this.alarms = alarms
    this.now = now
    this.begin = begin
  }

  /** At that time, or when the last round has rested. */
  request(atMs: number): void {
    if (atMs >= this.nextMs) return
    this.nextMs = atMs
    if (!this.running) this.arm()
  }

  requestNow(): void {
    this.request(this.now())
  }

  ended(scanMs: number): void {
    this.running = false
    this.earliestMs = this.now() + Math.max(PAUSE_MS, PAUSE_FACTOR * scanMs)
    if (this.nextMs < Infinity) this.arm()
  }

  /** An alarm that comes before looks again: so there is no other for the same round. */
  private arm(): void {
    const atMs = Math.max(this.nextMs, this.earliestMs)
    if (this.armed.length > 0 && this.armed.at(-1)! <= atMs) return
    this.armed.push(atMs)
    this.alarms.at(atMs, this.look)
  }

  private readonly look = (): void => {
    const now = this.now()
    while (this.armed.length > 0 && this.armed.at(-1)! <= now) this.armed.pop()
    if (this.running || this.nextMs === Infinity) return
    if (now < this.nextMs || now < this.earliestMs) return this.arm()
    this.nextMs = Infinity
    this.running = this.begin()
  }
}
