/**
 * What a person means by an id or a URL on a command line: one thing, or an error that lists the near ones. An id may be
 * cut short, as `list` shows it.
 */
import { distance } from "./Nearest.ts"

/** Characters of an id that is cut short, at least. */
export const MIN_PREFIX = 4
/** Characters that are compared to find what is near: URLs may be long, and many. */
const COMPARED = 100
/** Things that an error lists. */
export const MAX_NEAR = 5

export interface Named {
  readonly id: string
  /** URLs in each form that a person may have seen. The first one is shown. */
  readonly names: ReadonlyArray<string>
}

export type Found<A> =
  | { readonly _tag: "One"; readonly item: A }
  | { readonly _tag: "Several"; readonly items: ReadonlyArray<A> }
  /** `near`: the most alike, best first. */
  | { readonly _tag: "None"; readonly near: ReadonlyArray<A> }

const of = <A>(items: ReadonlyArray<A>): Found<A> | undefined => {
  if (items.length === 0) return undefined
  return items.length === 1 ? { _tag: "One", item: items[0]! } : { _tag: "Several", items }
}

const near = <A extends Named>(text: string, items: ReadonlyArray<A>): ReadonlyArray<A> => {
  const cut = (name: string) => name.slice(0, COMPARED).toLowerCase()
  const far = (item: A) => Math.min(...[item.id, ...item.names].map((name) => distance(cut(text), cut(name))))
  return items
    .map((item) => ({ item, by: far(item) }))
    .toSorted((a, b) => a.by - b.by)
    .slice(0, MAX_NEAR)
    .map(({ item }) => item)
}

/** An exact id, an exact name, the beginning of an id: in this order. */
export const find = <A extends Named>(text: string, items: ReadonlyArray<A>): Found<A> => {
  const id = text.toLowerCase()
  const isPrefix = id.length >= MIN_PREFIX && /^[0-9a-f-]+$/.test(id)
  return of(items.filter((item) => item.id === id))
    ?? of(items.filter((item) => item.names.includes(text)))
    ?? (isPrefix ? of(items.filter((item) => item.id.startsWith(id))) : undefined)
    ?? { _tag: "None", near: near(text, items) }
}
