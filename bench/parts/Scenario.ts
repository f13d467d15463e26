/**
 * What a scenario is: arms that are measured in turn, and what is compared with what. `rounds.ts` runs one.
 */
import type { PostgresServer } from "../../test/support/PostgresServer.ts"
import type { Receiver } from "../processes.ts"
import type { Profiles } from "./Profiles.ts"

/** Values of one run of one arm, by name: `eventsPerSecond`, `cpuUs` (client CPU, µs an event), `peakMib`, … */
export type Metrics = Readonly<Record<string, number>>

export interface Arm {
  readonly name: string
  /** One run, in a fresh process. */
  readonly measure: () => Promise<Metrics>
}

/** Arm `of` against arm `to`, pair by pair: the median of the ratios. */
export interface Comparison {
  readonly metric: string
  /** Default: the same metric of the other arm. */
  readonly toMetric?: string
  readonly of: string
  readonly to: string
  /** What the ratio should be. */
  readonly goal?: Bound
  /** Generous: outside of it something has become worse, and the run warns. */
  readonly warn?: Bound
}

export interface Bound {
  readonly atLeast?: number
  readonly atMost?: number
}

/** A value of one arm that has a goal of its own. */
export interface Limit extends Bound {
  readonly arm: string
  readonly metric: string
}

export interface Prepared {
  readonly arms: ReadonlyArray<Arm>
  readonly comparisons: ReadonlyArray<Comparison>
  readonly limits?: ReadonlyArray<Limit>
  readonly end: () => Promise<void>
}

export interface Scenario {
  readonly name: string
  /** One sentence: what is measured. */
  readonly about: string
  /** The arm that is also measured against itself: the spread of that ratio is what chance makes. Default: none. */
  readonly control?: string
  /** At most so many rounds, for what takes long. */
  readonly maxRounds?: number
  readonly prepare: (bench: Bench) => Promise<Prepared>
}

/** A program that is measured: "ours", and with `--against` another one. */
export interface Program {
  readonly name: string
  /** Its binary, or a file that Node runs. */
  readonly file: string
}

export interface Bench {
  /** The server of all scenarios; it starts when it is first asked for. */
  readonly server: () => Promise<PostgresServer>
  /** Ends with the scenario. */
  readonly receiver: (delayMs?: number | "never") => Promise<Receiver>
  readonly programs: ReadonlyArray<Program>
  /** Short runs, for the smoke test. */
  readonly quick: boolean
  /** A number of rows or seconds: as it is, times `--scale`, or the second one when the run is quick. */
  readonly size: (normal: number, quick: number) => number
  readonly say: (text: string) => void
  /** With `--profile`: of what `Site.start` starts. */
  readonly profiles?: Profiles
}

export const holds = (value: number, { atLeast, atMost }: Bound): boolean =>
  (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost)
