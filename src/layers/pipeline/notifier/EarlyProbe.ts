/**
 * While it is tried with one request whether an endpoint is up (its gate is half-open), and nothing else could show it:
 * the oldest row is tried, though it is not due for hours. Once each time that the gate is half-open; again after a pause
 * if the answer said neither that it is up nor that it is down (`Retry-After` of a second).
 */
import type { Core } from "./Core.ts"

export interface Probed {
  readonly isProbing: boolean
  /** Rows wait, and neither the lanes nor the reader of segments have anything to try. */
  readonly hasOnlyRows: boolean
  /** In the next round all rows are due; while it is probed one is taken. */
  requestAll(): void
  pumpSegments(): void
}

export class EarlyProbe {
  /** noneDue: a round found no row that is due · early: one was tried before its time. */
  private state: "none" | "noneDue" | "early" = "none"
  private readonly core: Core
  private readonly probed: Probed

  constructor(core: Core, probed: Probed) {
    this.core = core
    this.probed = probed
  }

  gateChanged(): void {
    this.state = "none"
  }

  /** A round of the feeder saw the whole table. */
  roundEnded(): void {
    if (this.state === "none" && this.probed.isProbing) this.state = "noneDue"
  }

  tryIt(): void {
    if (this.state !== "noneDue" || !this.probed.isProbing || !this.probed.hasOnlyRows) return
    this.state = "early"
    this.probed.requestAll()
  }

  answered(): void {
    if (this.state !== "early" || !this.probed.isProbing) return
    const { alarms, now, settings } = this.core
    alarms.at(now() + settings.breakerPauseMs, () => {
      if (this.state !== "early") return
      this.state = "noneDue"
      this.probed.pumpSegments()
    })
  }
}
