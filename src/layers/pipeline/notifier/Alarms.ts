/**
 * Calls plain functions at a time: one heap and one sleeping fiber for all endpoints, since a fiber per retry costs
 * more than the retry. An alarm is never taken back: who set it looks whether it still applies.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

interface Alarm {
  readonly atMs: number
  readonly run: () => void
}

/** A longer sleep than this wakes up in between: timers of the platform end at 24 days. */
const MAX_SLEEP_MS = 3_600_000

export class Alarms {
  private readonly heap: Array<Alarm> = []
  private readonly changed = Latch.makeUnsafe(false)
  private readonly now: () => number

  constructor(now: () => number) {
    this.now = now
  }

  at(atMs: number, run: () => void): void {
    const heap = this.heap
    const alarm = { atMs, run }
    let i = heap.length
    heap.push(alarm)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.atMs <= atMs) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = alarm
    if (i === 0) this.changed.openUnsafe()
  }

  /** Never ends by itself. */
  readonly loop: Effect.Effect<never> = Effect.suspend(() => {
    this.changed.closeUnsafe()
    while (this.heap.length > 0 && this.heap[0]!.atMs <= this.now()) this.pop().run()
    if (this.heap.length === 0) return this.changed.await
    const sleepMs = Math.min(this.heap[0]!.atMs - this.now(), MAX_SLEEP_MS)
    return Effect.raceFirst(Effect.sleep(Math.max(sleepMs, 0)), this.changed.await)
  }).pipe(Effect.forever)

  private pop(): Alarm {
    const heap = this.heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      let i = 0
      for (;;) {
        let child = 2 * i + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child++
        if (heap[child]!.atMs >= last.atMs) break
        heap[i] = heap[child]!
        i = child
      }
      heap[i] = last
    }
    return first
  }
}
