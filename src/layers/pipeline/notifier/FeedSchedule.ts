/** When the next round of a feeder begins: on demand, one at a time, with a pause in between. */
import type { Alarms } from "./Alarms.ts"

/** Pause between two rounds, ms, at least; and as a multiple of the time that the last one's scans took. */
const PAUSE_MS = 20
const PAUSE_FACTOR = 4

export class FeedSchedule {
  private running = false
  private nextMs = Infinity
  private earliestMs = 0
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

  private arm(): void {
    this.alarms.at(Math.max(this.nextMs, this.earliestMs), () => {
      const now = this.now()
      if (this.running || now < this.nextMs || now < this.earliestMs) return
      this.nextMs = Infinity
      this.running = this.begin()
    })
  }
}
