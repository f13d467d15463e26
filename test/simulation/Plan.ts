/** What a run does, decided by its seed: the stream, the endpoints, what fails and when, kills, how slow the table is. */
import type { BatchLimits, OrderMode } from "../../src/domain/Subscription.ts"
import type { StreamOptions } from "./Events.ts"
import type { Random } from "./Random.ts"

export interface EndpointPlan {
  readonly id: string
  readonly mode: OrderMode
  readonly concurrency: number
  /** Tables that it selects; empty = all. */
  readonly tables: ReadonlyArray<string>
  /** Windows of virtual time, ms, in which all its requests fail. */
  readonly down: ReadonlyArray<readonly [number, number]>
  /** Windows in which it is paused, and in which it is suspended: its events are counted, not kept. */
  readonly paused: ReadonlyArray<readonly [number, number]>
  readonly suspended: ReadonlyArray<readonly [number, number]>
  /** Windows in which an endpoint of `mode` key is of a total order: rows keep theirs all the while. */
  readonly total: ReadonlyArray<readonly [number, number]>
  /** A second subscription selects the tables that the first does not; it is removed. */
  readonly second: boolean
  /** It gets several events in one request. */
  readonly batch: BatchLimits | undefined
}

export interface Plan {
  readonly stream: StreamOptions
  readonly endpoints: ReadonlyArray<EndpointPlan>
  /** Chance that one attempt ends with 503, without an answer, or with a lost one, before `calmMs`. */
  readonly failing: number
  /** Chance that an event is refused with 400 at its first attempts; and how often at most (4 = it dies). */
  readonly poison: number
  readonly poisonAttempts: number
  readonly kills: ReadonlyArray<number>
  /** The kill is a graceful stop. */
  readonly graceful: boolean
  readonly calmMs: number
  /** Where in the stream the removal of second subscriptions comes, as a share of the events; and when it is asked for, ms. */
  readonly removedAt: number
  readonly withdrawnMs: number
  /** Failures in a row that open the breaker. */
  readonly breakerFailures: number
  readonly maxParkedKeys: number
  readonly maxEndpointBytes: number
  /** Items of a chunk at most, and the pause between chunks at most, ms. */
  readonly chunkItems: number
  readonly chunkPauseMs: number
  readonly latencyMs: number
  readonly writeMs: number
  readonly scanMs: number
  readonly storeFails: number
  readonly pageRows: number
  readonly saveMs: number
}

const windows = (random: Random, chance: number, untilMs: number): ReadonlyArray<readonly [number, number]> => {
  const found: Array<readonly [number, number]> = []
  let at = 0
  while (random.chance(chance) && at < untilMs) {
    const from = at + random.int(0, 1_000)
    at = from + random.int(100, 1_200)
    found.push([from, Math.min(at, untilMs)])
  }
  return found
}

const CALM_MS = 4_000

export const randomPlan = (random: Random): Plan => {
  const slow = random.chance(0.6)
  const modes: ReadonlyArray<OrderMode> = ["key", "key", "key", "key", "total", "none"]
  const endpoint = (id: string): EndpointPlan => ({
    id,
    mode: random.pick(modes),
    concurrency: random.pick([1, 2, 8, 64]),
    tables: random.chance(0.3) ? ["a"] : [],
    down: windows(random, 0.5, CALM_MS),
    paused: random.chance(0.2) ? windows(random, 0.7, CALM_MS) : [],
    suspended: random.chance(0.1) ? windows(random, 0.7, CALM_MS) : [],
    total: random.chance(0.2) ? windows(random, 0.7, CALM_MS) : [],
    second: random.chance(0.2),
    batch: random.chance(0.2) ? { maxEvents: random.pick([2, 3, 10]), maxDelayMs: random.pick([0, 20, 200]) } : undefined
  })
  return {
    stream: {
      events: random.int(10, 60),
      rows: random.int(2, 6),
      keyChange: random.pick([0, 0.1, 0.25]),
      truncate: random.pick([0, 0.05]),
      schemaEvent: random.pick([0, 0.03]),
      partitions: random.pick([0, 0, 0.3]),
      newDefinition: random.chance(0.5)
    },
    endpoints: random.chance(0.3) ? [endpoint("e1"), endpoint("e2")] : [endpoint("e1")],
    failing: random.pick([0, 0.1, 0.35]),
    poison: random.pick([0, 0.1, 0.3]),
    poisonAttempts: random.int(1, 6),
    kills: Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, () => random.int(10, 5_000)).sort((a, b) => a - b),
    graceful: random.chance(0.2),
    calmMs: CALM_MS,
    removedAt: random.next(),
    withdrawnMs: random.int(0, CALM_MS),
    breakerFailures: random.pick([3, 10, 1_000]),
    maxParkedKeys: random.pick([1, 2, 4, 1_000]),
    maxEndpointBytes: random.pick([400, 2_000, 100_000]),
    chunkItems: random.pick([1, 3, 10]),
    chunkPauseMs: random.pick([0, 20, 100, 300]),
    latencyMs: random.pick([1, 10, 60]),
    writeMs: slow ? 40 : 3,
    scanMs: slow ? 15 : 2,
    storeFails: random.pick([0, 0, 0.1]),
    pageRows: random.pick([1, 2, 5, 256]),
    saveMs: random.pick([5, 200, 2_000])
  }
}
