/**
 * Numbers that came once, or more than once: a byte for each, in pages that are made when they are touched. So a list
 * of any length costs at most a byte for each number up to the highest, and may be in any order.
 */
import * as Ranges from "./Ranges.ts"

/** Numbers of a page. */
const PAGE = 65_536
/** Pages at most: 256 MiB, 268 M numbers. More means that numbers lie far apart, which those of one endpoint do not. */
export const MAX_PAGES = 4_096

export class SeenNumbers {
  readonly #pages = new Map<number, Uint8Array>()
  /** Numbers added, repeated ones too. */
  count = 0

  /** `false`: not a number of an event, or more pages than there may be; it is not taken. */
  add(n: number): boolean {
    if (!Number.isSafeInteger(n) || n < 1) return false
    const number = Math.floor(n / PAGE)
    let page = this.#pages.get(number)
    if (page === undefined) {
      if (this.#pages.size >= MAX_PAGES) return false
      this.#pages.set(number, page = new Uint8Array(PAGE))
    }
    const at = n % PAGE
    if (page[at]! < 2) page[at]!++
    this.count++
    return true
  }

  /** Those seen at least `times` (1 or 2). */
  seen(times: 1 | 2): Ranges.Ranges {
    const found: Array<Ranges.Range> = []
    for (const [number, page] of [...this.#pages].sort(([a], [b]) => a - b)) {
      for (let at = 0; at < PAGE; at++) {
        if (page[at]! < times) continue
        const from = at
        while (at < PAGE && page[at]! >= times) at++
        found.push({ first: number * PAGE + from, last: number * PAGE + at - 1 })
      }
    }
    return Ranges.fromRanges(found)
  }
}
