/**
 * Segments that outlive a simulated process, slow as a real store is: an append is durable some time before it returns,
 * a read answers with what was there some time ago. A batch whose answer was lost is there once, however often it is
 * appended.
 */
import * as Effect from "effect/Effect"
import { erase, isBefore, isErased, nameOfBatch, rangesOf, type SegmentCursor, type SegmentEvent } from "../../src/domain/Segment.ts"
import { type Backlog, Segments, SegmentsError } from "../../src/services/Segments.ts"
import type { StoreTiming } from "./SimulatedStore.ts"

interface Stored {
  readonly number: number
  readonly events: ReadonlyArray<SegmentEvent>
}

export class SimulatedSegments {
  segments: Array<Stored> = []
  readonly cursors = new Map<string, SegmentCursor>()
  private next = 1
  private lastBatch = ""

  /** What waits for the endpoint, in order. */
  waiting(endpoint: string, from = this.cursors.get(endpoint)): Array<Stored> {
    if (from === undefined) return []
    return this.segments.flatMap(({ number, events }) => {
      if (number < from.segment) return []
      const own = events.flatMap((event) => {
        const targets = event.targets.filter(({ endpointId }) => endpointId === endpoint)
        return targets.length === 0 ? [] : [{ ...event, targets }]
      })
      const left = number === from.segment ? own.slice(from.index) : own
      return left.length === 0 ? [] : [{ number, events: left }]
    })
  }

  ids(endpoint: string): ReadonlyArray<string> {
    return this.waiting(endpoint).flatMap(({ events }) => events.map(({ id }) => id))
  }

  has(endpoint: string, id: string): boolean {
    return this.ids(endpoint).includes(id)
  }

  get isEmpty(): boolean {
    return [...this.cursors.keys()].every((endpoint) => this.waiting(endpoint).length === 0)
  }

  /** As one process sees it. */
  service(sleep: (ms: number) => Effect.Effect<void>, timing: Omit<StoreTiming, "page">): Segments["Service"] {
    const call = <A>(pauses: readonly [number, number], operation: string, act: () => A, mayFail = true) =>
      Effect.suspend(() => {
        const fails = mayFail ? timing.fails() : "no"
        const error = new SegmentsError({ operation, cause: "simulated" })
        if (fails === "before") return Effect.andThen(sleep(pauses[0]), Effect.fail(error))
        return Effect.flatMap(sleep(pauses[0]), () => {
          const value = act()
          return Effect.andThen(sleep(pauses[1]), fails === "after" ? Effect.fail(error) : Effect.succeed(value))
        })
      })
    return Segments.of({
      open: (_stream, position) => call(timing.scan(), "open", () => this.open(position), false),
      append: (_stream, events) => call(timing.write(), "append", () => this.append(events)),
      read: (_stream, endpoint, from) => call(timing.scan(), "read", () => this.waiting(endpoint, from)[0]),
      pass: (_stream, cursors) =>
        call(timing.write(), "pass", () => {
          for (const [endpoint, cursor] of cursors) {
            const there = this.cursors.get(endpoint)
            if (there !== undefined && isBefore(there, cursor)) this.cursors.set(endpoint, cursor)
          }
          this.trim()
        }),
      numbers: (_stream, endpoint) =>
        call(timing.scan(), "numbers", () =>
          rangesOf(this.waiting(endpoint).flatMap(({ events }) => events.filter((event) => !isErased(event)).map(({ targets }) => targets[0]!)))),
      backlog: () => call(timing.scan(), "backlog", () => this.backlog()),
      // Only tools look, and none runs in a simulation.
      look: () => Effect.die("nobody looks"),
      erase: (_stream, endpoint, matches, before) =>
        Effect.map(Effect.forEach(this.waiting(endpoint), ({ number }) => {
          const at = this.segments.findIndex((segment) => segment.number === number)
          const found = erase(this.segments[at]!.events, endpoint, matches)
          if (found === undefined) return Effect.succeed(0)
          return Effect.map(before(found.erased), () => {
            this.segments[at] = { number, events: found.events }
            return found.erased.length
          })
        }), (counts) => counts.reduce((sum, count) => sum + count, 0)),
      erasePassed: () => Effect.die("nobody purges"),
      end: (_stream, endpoint) =>
        call(timing.write(), "end", () => {
          const { length } = this.ids(endpoint)
          this.cursors.delete(endpoint)
          this.trim()
          return length
        })
    })
  }

  private open(position: number): ReadonlyArray<Backlog> {
    this.lastBatch = ""
    this.segments = this.segments.map(({ number, events }) => {
      const cut = events.findIndex((event) => event.commitLsn >= position)
      return { number, events: cut < 0 ? events : events.slice(0, cut) }
    })
    this.trim()
    return this.backlog()
  }

  private backlog(): ReadonlyArray<Backlog> {
    return [...this.cursors].map(([endpointId, cursor]) => {
      const events = this.waiting(endpointId).flatMap((segment) => segment.events)
      return {
        endpointId, cursor, events: events.length, bytes: events.reduce((sum, { body }) => sum + body.byteLength, 0), oldestMs: 0,
        lowestLsn: events.reduce((lowest, { commitLsn }) => Math.min(lowest, commitLsn), Infinity)
      }
    })
  }

  private append(events: ReadonlyArray<SegmentEvent>): number {
    const name = nameOfBatch(events)
    if (name === this.lastBatch) return this.next - 1
    this.lastBatch = name
    const number = this.next++
    const copy = events.map((event) => ({
      ...event, body: Uint8Array.from(event.body),
      targets: event.targets.map(({ endpointId, epoch, sequence, selectedBy, keys }) => ({ endpointId, epoch, sequence, selectedBy, keys }))
    }))
    this.segments.push({ number, events: copy })
    for (const { targets } of copy) {
      for (const { endpointId } of targets) if (!this.cursors.has(endpointId)) this.cursors.set(endpointId, { segment: number, index: 0 })
    }
    return number
  }

  private trim(): void {
    for (const endpoint of this.cursors.keys()) if (this.waiting(endpoint).length === 0) this.cursors.delete(endpoint)
    const first = Math.min(this.next, ...[...this.cursors.values()].map(({ segment }) => segment))
    this.segments = this.segments.filter(({ number }) => number >= first)
  }
}
