/**
 * Who goes behind while the Dispatcher waits for room (DESIGN.md "Behind"): an endpoint whose full lanes have held it
 * for 250 ms of the last second while another one had nothing to do; at the sum of all bytes the one that holds most;
 * and the one that holds the slot when that has too much WAL. Otherwise waiting is all there is to do.
 */
import type { WalHeld } from "../../../services/WalHeld.ts"
import type { Core } from "./Core.ts"
import type { EndpointLanes } from "./EndpointLanes.ts"
import type { LanesState } from "./LanesState.ts"
import { compare } from "./Position.ts"

/** How long full lanes may hold the Dispatcher, of a window, while another endpoint has nothing to do, ms. */
const HELD_MS = 250
const WINDOW_MS = 1_000
/** While the Dispatcher waits it is looked at so often, ms. */
export const LOOK_MS = 50
/** Pause between two looks at the slot, ms. */
const SLOT_PAUSE_MS = 1_000

const WAL = "the slot holds too much WAL for it"

export type WalHeldShape = typeof WalHeld["Service"]

export interface PressureOptions {
  readonly core: Core
  readonly lanes: ReadonlyMap<string, EndpointLanes>
  readonly walHeld: WalHeldShape
}

interface Held {
  readonly untilMs: number
  readonly ms: number
}

export class Pressure {
  private readonly core: Core
  private readonly lanes: ReadonlyMap<string, EndpointLanes>
  private readonly walHeld: WalHeldShape
  /** By endpoint, the pieces of the last second in which it held the Dispatcher and another had nothing to do. */
  private readonly held = new Map<LanesState, Array<Held>>()
  private nextSlotMs = 0

  constructor({ core, lanes, walHeld }: PressureOptions) {
    this.core = core
    this.lanes = lanes
    this.walHeld = walHeld
  }

  /** The Dispatcher has waited since `fromMs`. */
  waited(fromMs: number): void {
    const now = this.core.now()
    this.heldBy(fromMs, now)
    this.atTheSum()
    this.look()
  }

  /** While the Dispatcher does not wait, too: who holds a slot that has too much WAL. */
  look(): void {
    const now = this.core.now()
    if (now < this.nextSlotMs) return
    this.nextSlotMs = now + SLOT_PAUSE_MS
    const budget = Math.min(this.core.settings.walBudgetBytes, this.walHeld.keepBytes() / 2)
    if (this.walHeld.bytes() <= budget) return
    for (const lanes of this.core.overfull) lanes.giveWay(WAL)
    const oldest = this.oldestLive()
    if (oldest !== undefined && this.core.reached.commitLsn - oldest.oldest!.commitLsn > budget / 2) oldest.giveWay(WAL)
  }

  private heldBy(fromMs: number, now: number): void {
    const { overfull } = this.core
    if (overfull.size === 0 || now <= fromMs) return
    for (const lanes of this.held.keys()) if (lanes.behind || lanes.gone) this.held.delete(lanes)
    for (const lanes of overfull) {
      if (!this.hasFreePeer(lanes)) continue
      const pieces = (this.held.get(lanes) ?? []).filter(({ untilMs }) => untilMs > now - WINDOW_MS)
      const last = pieces.at(-1)
      pieces.push({ untilMs: now, ms: now - Math.max(fromMs, last?.untilMs ?? fromMs, now - WINDOW_MS) })
      this.held.set(lanes, pieces)
      if (pieces.reduce((sum, { ms }) => sum + ms, 0) < HELD_MS) continue
      this.held.delete(lanes)
      lanes.goBehind("it held up the others")
    }
  }

  private hasFreePeer(lanes: LanesState): boolean {
    for (const other of this.lanes.values()) {
      if (other !== lanes && !other.behind && !other.gone && other.attempts.isFree) return true
    }
    return false
  }

  /** What waits to be written is not counted: while the store is slow, that is no endpoint's fault. */
  private atTheSum(): void {
    const { bytes, settings } = this.core
    if (bytes <= settings.maxQueueBytes) return
    let most: EndpointLanes | undefined
    let count = 0
    for (const lanes of this.lanes.values()) {
      if (lanes.gone) continue
      count++
      if (most === undefined || lanes.restingBytes > most.restingBytes) most = lanes
    }
    if (most !== undefined && count > 1 && 2 * most.restingBytes * count >= bytes) most.giveWay("it holds most of the memory")
  }

  /** Of the live ones, the one with the oldest event that is not settled. */
  private oldestLive(): EndpointLanes | undefined {
    let found: EndpointLanes | undefined
    for (const lanes of this.lanes.values()) {
      const { oldest } = lanes
      if (lanes.behind || lanes.gone || oldest?.ticket === undefined) continue
      if (found === undefined || compare(oldest, found.oldest!) < 0) found = lanes
    }
    return found
  }
}
