/**
 * One page of two lists, each in its own order, by the position of what they have. Neither is read to its end: what lies
 * beyond the place up to which both were looked through is left for a later page, so that pages stay in order.
 */

/** In stream order; ties by endpoint and id. */
export interface Position {
  readonly commitLsn: number
  readonly ordinal: number
  readonly endpointId: string
  readonly id: string
}

export interface Part<A, Place> {
  readonly found: ReadonlyArray<{ readonly item: A; readonly position: Position; readonly place: Place }>
  /** Up to where it was looked through, what does not match included; `undefined`: to its end. */
  readonly looked: { readonly position: Position; readonly place: Place } | undefined
  /** Where it began. */
  readonly start: Place
}

export interface Merged<A, P, Q> {
  readonly items: ReadonlyArray<A>
  /** Where the next page begins; `undefined`: this was the last. */
  readonly next: readonly [P, Q] | undefined
}

const text = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

export const compare = (a: Position, b: Position): number =>
  a.commitLsn - b.commitLsn || a.ordinal - b.ordinal || text(a.endpointId, b.endpointId) || text(a.id, b.id)

/** What is in both (on its way from the second to the first) comes once, as the first has it. */
export const merge = <A extends { readonly endpointId: string; readonly id: string }, P, Q>(
  first: Part<A, P>, second: Part<A, Q>, limit: number, newestFirst: boolean
): Merged<A, P, Q> => {
  const sign = newestFirst ? -1 : 1
  const isBeyond = (position: Position, bound: Position | undefined): boolean => bound !== undefined && sign * compare(position, bound) > 0
  const items: Array<A> = []
  let [i, j] = [0, 0]
  while (items.length < limit) {
    const [a, b] = [first.found[i], second.found[j]]
    const takesFirst = a !== undefined && (b === undefined || sign * compare(a.position, b.position) <= 0)
    const taken = takesFirst ? a : b
    if (taken === undefined || isBeyond(taken.position, first.looked?.position) || isBeyond(taken.position, second.looked?.position)) break
    if (takesFirst) i++
    else j++
    const { endpointId, id } = items.at(-1) ?? {}
    if (endpointId !== taken.item.endpointId || id !== taken.item.id) items.push(taken.item)
  }
  const isWhole = <T, Place>(part: Part<T, Place>, taken: number): boolean => taken === part.found.length && part.looked === undefined
  if (isWhole(first, i) && isWhole(second, j)) return { items, next: undefined }
  /** All that was found is taken: what was looked through besides has nothing. */
  const placeOf = <T, Place>({ found, looked, start }: Part<T, Place>, taken: number): Place =>
    taken === found.length && looked !== undefined ? looked.place : found[taken - 1]?.place ?? start
  return { items, next: [placeOf(first, i), placeOf(second, j)] }
}
