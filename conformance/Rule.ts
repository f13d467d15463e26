/** What a rule is: a difference from golden that is meant, told by its reason, never by the name of a scenario. */
import type { Difference } from "./Align.ts"
import type { Facts } from "./Facts.ts"
import type { Data } from "./Payload.ts"

export type Plugin = "pgoutput" | "wal2json"
export type InjectorSetting = "on" | "off"

export interface Context {
  readonly plugin: Plugin
  readonly injector: InjectorSetting
  readonly facts: Facts
  readonly expected: ReadonlyArray<Data>
  readonly got: ReadonlyArray<Data>
}

export interface Sides {
  readonly expected: ReadonlyArray<Data>
  readonly got: ReadonlyArray<Data>
}

export interface Rule {
  readonly id: string
  /** Only with this plugin; absent: with both. */
  readonly plugin?: Plugin
  /** Only with the injector on, or off; absent: both. */
  readonly injector?: InjectorSetting
  /** What the system that we replace does, what we do, and why. For docs/compatibility.md. */
  readonly reason: string
  /** Takes a difference, or not. */
  readonly explains?: (difference: Difference, context: Context) => boolean
  /** Golden's events as they are when the rule holds, or ours without what the rule adds. Unchanged: the same arrays. */
  readonly rewrites?: (context: Context) => Sides
  /** An entry of the schema log that golden lacks: taken back, the later versions of its schema count one less. */
  readonly addsEntry?: (entry: Data, context: Context) => boolean
}
