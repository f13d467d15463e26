/**
 * The last one of each value: a hash table in one array, for what comes and goes by the thousand.
 *
 * A `Map` makes a new table every so many keys that came and went, and each table that is thrown away refers to the next
 * one. Once V8 has moved one of them to its old generation, all later tables, and all that was in them, are kept until
 * that is collected: the memory of whole seconds of events.
 */
interface Valued {
  readonly value: number
}

const FIRST_SIZE = 8
/** 2^32 divided by the golden ratio: spreads values that follow each other. */
const SPREAD = 0x9e3779b1

const places = <A>(size: number): Array<A | undefined> => Array.from({ length: size }, () => undefined)

export class ByValue<A extends Valued> {
  size = 0
  private table: Array<A | undefined> = places(FIRST_SIZE)

  get(value: number): A | undefined {
    return this.table[this.placeOf(value)]
  }

  /** In place of the one that has the same value. */
  set(item: A): void {
    const place = this.placeOf(item.value)
    if (this.table[place] === undefined) this.size++
    this.table[place] = item
    if (2 * this.size > this.table.length) this.grow()
  }

  delete(value: number): void {
    const { table } = this
    const mask = table.length - 1
    let hole = this.placeOf(value)
    if (table[hole] === undefined) return
    this.size--
    // Those behind it move up, where their way from their own place leads over the hole.
    for (let at = (hole + 1) & mask; table[at] !== undefined; at = (at + 1) & mask) {
      const home = this.home(table[at]!.value)
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[hole] = table[at]
      hole = at
    }
    table[hole] = undefined
  }

  private home(value: number): number {
    return (Math.imul(value, SPREAD) >>> 8) & (this.table.length - 1)
  }

  /** Where it is, or would be. */
  private placeOf(value: number): number {
    const { table } = this
    const mask = table.length - 1
    let at = this.home(value)
    for (let item = table[at]; item !== undefined && item.value !== value; item = table[at]) at = (at + 1) & mask
    return at
  }

  private grow(): void {
    const before = this.table
    this.table = places(2 * before.length)
    for (let i = 0; i < before.length; i++) {
      const item = before[i]
      if (item !== undefined) this.table[this.placeOf(item.value)] = item
      before[i] = undefined
    }
  }
}
