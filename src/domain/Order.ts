/**
 * Who waits for whom among the events in the lanes of one endpoint (DESIGN.md "Order"). No clock, no I/O.
 *
 * Events are added in stream order among those that conflict; one that was added later waits for the earlier
 * ones. Per table id (a key's leaf and root) there is a zone: a list of epochs. An epoch is either one barrier (a
 * whole table) or row keys of one definition, chained by value; the events of an epoch wait until it is the first
 * of its zone. So a row key costs one look-up and one link, and a barrier one epoch. Where the order was changed, events
 * of a total order and others form eras, one after the other.
 */
import { ByValue } from "./ByValue.ts"
import { EVERYTHING, type Key, WHOLE } from "./Key.ts"
import type { Rules } from "./Rules.ts"

/** What Order keeps on an event. `waits` 0 = free to be sent. */
export interface Ordered {
  readonly keys: ReadonlyArray<Key>
  waits: number
  slots: Slot | undefined
}

/** One event in one zone. */
export class Slot {
  readonly event: Ordered
  readonly epoch: Epoch
  readonly value: number
  /** Next slot of the same event. */
  readonly more: Slot | undefined
  /** Of the event; on its first slot only. */
  era: Era | undefined = undefined
  /** Neighbours of the same value in the epoch. */
  before: Slot | undefined = undefined
  after: Slot | undefined = undefined
  removed = false
  /** What this slot has the event wait for: its predecessor, its epoch. */
  waitsChain = false
  waitsEpoch = false

  constructor(event: Ordered, epoch: Epoch, value: number, more: Slot | undefined) {
    this.event = event
    this.epoch = epoch
    this.value = value
    this.more = more
  }
}

class Epoch {
  readonly zone: Zone
  readonly definition: number
  readonly barrier: boolean
  readonly last = new ByValue<Slot>()
  /** Slots, while the epoch is not the first of its zone. */
  members: Array<Slot> | undefined
  size = 0

  constructor(zone: Zone, definition: number, barrier: boolean, first: boolean) {
    this.zone = zone
    this.definition = definition
    this.barrier = barrier
    this.members = first ? undefined : []
  }
}

interface Zone {
  readonly id: number
  readonly epochs: Array<Epoch>
}

/** Events in a row that are of a total order, or are not. */
interface Era {
  total: boolean
  size: number
  /** While it is not the first. */
  members: Array<Ordered> | undefined
}

/** What one event asks of one zone, when it has several keys. */
interface Claim {
  readonly zone: number
  readonly definition: number
  barrier: boolean
  readonly values: Array<number>
  /** Only the second key of a change of the key asks for it. */
  readonly second: boolean
}

export class Order {
  /** Events added and not removed. */
  size = 0
  private readonly rules: Rules
  private readonly zones = new Map<number, Zone>()
  /** The first may be empty when it is the only one. */
  private readonly eras: Array<Era> = []

  constructor(rules: Rules) {
    this.rules = rules
  }

  /** Returns whether nothing holds it: it may be sent now. */
  add(event: Ordered): boolean {
    this.size++
    event.waits = 0
    event.slots = undefined
    const keys = event.keys
    if (keys.length === 1) {
      const key = keys[0]!
      const barrier = key.value === WHOLE
      this.claim(event, key.leaf, key.definition, barrier, key.value, true)
      if (key.root !== key.leaf && this.rules.rootsConflict) this.claim(event, key.root, key.definition, barrier, key.value, true)
    } else if (keys.length > 1) {
      for (const claim of this.claimsOf(keys)) {
        const waits = !claim.second || this.rules.keyChangeWaitsForBoth
        if (claim.barrier) this.claim(event, claim.zone, claim.definition, true, WHOLE, waits)
        else for (let i = 0; i < claim.values.length; i++) {
          this.claim(event, claim.zone, claim.definition, false, claim.values[i]!, waits && (i === 0 || this.rules.keyChangeWaitsForBoth))
        }
      }
    }
    if (this.rules.totalConflicts && keys.length > 0) this.enterEra(event, keys[0]!.leaf === EVERYTHING)
    return event.waits === 0
  }

  /** It is decided, or waits elsewhere from now on. `freed` is called for each event that nothing holds any more. */
  remove(event: Ordered, freed: (event: Ordered) => void): void {
    this.size--
    let slot = event.slots
    const era = slot?.era
    event.slots = undefined
    for (; slot !== undefined; slot = slot.more) {
      slot.removed = true
      this.unchain(slot, freed)
      if (--slot.epoch.size === 0) this.end(slot.epoch, freed)
    }
    if (era !== undefined && --era.size === 0) this.endEra(era, freed)
  }

  /** All that waits for it, directly or not, without itself, in no particular order. */
  dependents(event: Ordered): Array<Ordered> {
    const seen = new Set<Ordered>([event])
    const found: Array<Ordered> = []
    const visit = (other: Ordered) => {
      if (seen.has(other)) return
      seen.add(other)
      found.push(other)
    }
    for (let at = -1; at < found.length; at++) {
      const from = at < 0 ? event : found[at]!
      if (from.slots?.era !== undefined && this.eras.length > 1) this.laterThan(from.slots.era, visit)
      for (let slot = from.slots; slot !== undefined; slot = slot.more) {
        if (slot.after !== undefined) visit(slot.after.event)
        const epochs = slot.epoch.zone.epochs
        for (let i = epochs.indexOf(slot.epoch) + 1; i < epochs.length; i++) {
          for (const member of epochs[i]!.members ?? []) if (!member.removed) visit(member.event)
        }
      }
    }
    return found
  }

  /** Those right behind it, of the same value. */
  successors(event: Ordered): Array<Ordered> {
    const found: Array<Ordered> = []
    for (let slot = event.slots; slot !== undefined; slot = slot.more) if (slot.after !== undefined) found.push(slot.after.event)
    return found
  }

  /** Whether it could go right behind `others`: nothing else holds it. A barrier, and what waits for one, cannot. */
  isHeldOnlyBy(event: Ordered, others: ReadonlySet<Ordered>): boolean {
    if (!this.rules.batchInOrder) return true
    if (event.slots?.era !== undefined && event.slots.era !== this.eras[0]) return false
    for (let slot = event.slots; slot !== undefined; slot = slot.more) {
      if (slot.waitsEpoch || (slot.waitsChain && slot.before !== undefined && !others.has(slot.before.event))) return false
    }
    return true
  }

  private claim(event: Ordered, zoneId: number, definition: number, barrier: boolean, value: number, waits: boolean): void {
    if (barrier && !this.rules.wholeTableWaits) return
    const epoch = this.epochFor(zoneId, definition, barrier)
    const slot = new Slot(event, epoch, value, event.slots)
    event.slots = slot
    epoch.size++
    if (epoch.members !== undefined) {
      epoch.members.push(slot)
      if (waits) {
        slot.waitsEpoch = true
        event.waits++
      }
    }
    if (barrier || !this.rules.sameKeyWaits) return
    const before = epoch.last.get(value)
    epoch.last.set(slot)
    if (before === undefined) return
    before.after = slot
    slot.before = before
    if (waits) {
      slot.waitsChain = true
      event.waits++
    }
  }

  private epochFor(zoneId: number, definition: number, barrier: boolean): Epoch {
    let zone = this.zones.get(zoneId)
    if (zone === undefined) {
      zone = { id: zoneId, epochs: [] }
      this.zones.set(zoneId, zone)
    }
    const epochs = zone.epochs
    const last = epochs.length === 0 ? undefined : epochs[epochs.length - 1]!
    if (
      last !== undefined && !barrier && !last.barrier &&
      (last.definition === definition || !this.rules.definitionsConflict)
    ) return last
    const epoch = new Epoch(zone, definition, barrier, last === undefined)
    epochs.push(epoch)
    return epoch
  }

  private unchain(slot: Slot, freed: (event: Ordered) => void): void {
    const { before, after, epoch } = slot
    if (before !== undefined) before.after = after
    if (after !== undefined) {
      after.before = before
      if (before === undefined && after.waitsChain) this.release(after, false, freed)
    } else if (epoch.last.get(slot.value) === slot) {
      if (before === undefined) epoch.last.delete(slot.value)
      else epoch.last.set(before)
    }
  }

  private end(epoch: Epoch, freed: (event: Ordered) => void): void {
    const epochs = epoch.zone.epochs
    const at = epochs.indexOf(epoch)
    epochs.splice(at, 1)
    if (epochs.length === 0) {
      this.zones.delete(epoch.zone.id)
      return
    }
    if (at > 0) return
    const next = epochs[0]!
    const members = next.members ?? []
    next.members = undefined
    for (const slot of members) if (!slot.removed && slot.waitsEpoch) this.release(slot, true, freed)
  }

  private enterEra(event: Ordered, total: boolean): void {
    const slot = event.slots
    if (slot === undefined) return
    const { eras } = this
    let era = eras[eras.length - 1]
    if (era === undefined) eras.push(era = { total, size: 0, members: undefined })
    else if (era.size === 0) era.total = total
    else if (era.total !== total) eras.push(era = { total, size: 0, members: [] })
    slot.era = era
    era.size++
    if (era.members === undefined) return
    era.members.push(event)
    event.waits++
  }

  private endEra(era: Era, freed: (event: Ordered) => void): void {
    const { eras } = this
    if (eras.length === 1) return
    const at = eras.indexOf(era)
    eras.splice(at, 1)
    if (at > 0) return
    const next = eras[0]!
    const members = next.members ?? []
    next.members = undefined
    for (const event of members) if (event.slots?.era === next && --event.waits === 0) freed(event)
  }

  private laterThan(era: Era, visit: (event: Ordered) => void): void {
    const { eras } = this
    for (let i = eras.indexOf(era) + 1; i < eras.length; i++) {
      for (const event of eras[i]!.members ?? []) if (event.slots?.era === eras[i]) visit(event)
    }
  }

  private release(slot: Slot, ofEpoch: boolean, freed: (event: Ordered) => void): void {
    if (ofEpoch) slot.waitsEpoch = false
    else slot.waitsChain = false
    if (--slot.event.waits === 0) freed(slot.event)
  }

  /** One claim a zone, so that an event never waits for itself. */
  private claimsOf(keys: ReadonlyArray<Key>): Iterable<Claim> {
    const claims = new Map<number, Claim>()
    keys.forEach((key, index) => {
      this.addClaim(claims, key.leaf, key, index > 0)
      if (this.rules.rootsConflict) this.addClaim(claims, key.root, key, index > 0)
    })
    return claims.values()
  }

  private addClaim(claims: Map<number, Claim>, zone: number, key: Key, second: boolean): void {
    if (key.value === WHOLE && !this.rules.wholeTableWaits) return
    const there = claims.get(zone)
    if (there === undefined) {
      claims.set(zone, { zone, definition: key.definition, barrier: key.value === WHOLE, values: [key.value], second })
    } else if (key.value === WHOLE || there.definition !== key.definition) there.barrier = true
    else if (!there.values.includes(key.value)) there.values.push(key.value)
  }
}
