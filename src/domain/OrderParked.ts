/**
 * The keys of what is parked and not in the lanes, with counts, by leaf and root: does an event share one?
 *
 * One `Map` access a table id for a row key, whatever is parked. Values are hashes: a collision only serialises.
 */
import { EVERYTHING, type Key, WHOLE } from "./Key.ts"
import type { Rules } from "./Rules.ts"

interface Zone {
  /** All keys here, barriers included. */
  total: number
  barriers: number
  readonly definitions: Map<number, number>
  readonly values: Map<number, number>
}

const bump = (counts: Map<number, number>, of: number, by: 1 | -1): number => {
  const count = (counts.get(of) ?? 0) + by
  if (count <= 0) counts.delete(of)
  else counts.set(of, count)
  return count
}

export class ParkedKeys {
  /** Distinct keys that are kept: what `maxParkedKeys` bounds. A partition's key counts twice, since its parent has it too. */
  size = 0
  /** Keys of whole tables. */
  barriers = 0
  private readonly rules: Rules
  private readonly zones = new Map<number, Zone>()

  constructor(rules: Rules) {
    this.rules = rules
  }

  add(keys: ReadonlyArray<Key>): void {
    this.each(keys, 1)
  }

  /** The same keys as were added. */
  remove(keys: ReadonlyArray<Key>): void {
    this.each(keys, -1)
  }

  clear(): void {
    this.zones.clear()
    this.size = 0
    this.barriers = 0
  }

  conflicts(keys: ReadonlyArray<Key>): boolean {
    if (this.zones.size === 0) return false
    if (this.rules.totalConflicts && keys.length > 0 && this.isOfAnotherOrder(keys[0]!)) return true
    const count = this.rules.keyChangeWaitsForBoth ? keys.length : Math.min(keys.length, 1)
    for (let i = 0; i < count; i++) {
      const key = keys[i]!
      if (this.conflictsAt(key.leaf, key)) return true
      if (key.root !== key.leaf && this.rules.rootsConflict && this.conflictsAt(key.root, key)) return true
    }
    return false
  }

  private isOfAnotherOrder(key: Key): boolean {
    const everything = this.zones.has(EVERYTHING)
    return key.leaf === EVERYTHING ? this.zones.size > (everything ? 1 : 0) : everything
  }

  private conflictsAt(id: number, key: Key): boolean {
    const zone = this.zones.get(id)
    if (zone === undefined) return false
    if (key.value === WHOLE) return this.rules.wholeTableWaits
    if (zone.barriers > 0 && this.rules.wholeTableWaits) return true
    if (this.rules.definitionsConflict) {
      const same = zone.definitions.get(key.definition) ?? 0
      if (same < zone.total - zone.barriers) return true
    }
    return zone.values.has(key.value)
  }

  private each(keys: ReadonlyArray<Key>, by: 1 | -1): void {
    const count = this.rules.keyChangeParksBoth ? keys.length : Math.min(keys.length, 1)
    for (let i = 0; i < count; i++) {
      const key = keys[i]!
      this.change(key.leaf, key, by)
      if (key.root !== key.leaf) this.change(key.root, key, by)
    }
  }

  private change(id: number, key: Key, by: 1 | -1): void {
    let zone = this.zones.get(id)
    if (zone === undefined) {
      if (by < 0) return
      zone = { total: 0, barriers: 0, definitions: new Map(), values: new Map() }
      this.zones.set(id, zone)
    }
    zone.total += by
    if (key.value === WHOLE) {
      zone.barriers += by
      this.size += by
      this.barriers += by
    } else {
      bump(zone.definitions, key.definition, by)
      const left = bump(zone.values, key.value, by)
      if (by > 0 ? left === 1 : left === 0) this.size += by
    }
    if (zone.total <= 0) this.zones.delete(id)
  }
}
