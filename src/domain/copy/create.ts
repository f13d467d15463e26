/** What comes of a request, given those that are there: the same decision for every layer of `CopyRequests`. */
import { type Copy, type CopySpec, isOver, nameOf, type TableName } from "./Copy.ts"

export interface Decision {
  /** It is asked for already and not over: it goes on in place of a new one. */
  readonly goesOn: Copy | undefined
  /** What a new copy is for; empty: none is made. */
  readonly tables: ReadonlyArray<TableName>
  /** A copy that is done has them. */
  readonly skipped: ReadonlyArray<TableName>
}

const alike = (a: CopySpec, b: CopySpec): boolean =>
  a.subscription === b.subscription && a.where === b.where && a.mode === b.mode

const namesOf = (tables: ReadonlyArray<TableName>): ReadonlySet<string> => new Set(tables.map(nameOf))

/** Tables that a copy has copied: all of one that is done; of another those that are done themselves. */
const copied = (copy: Copy): ReadonlyArray<TableName> =>
  copy.state === "done" ? copy.tables : copy.progress.filter(({ state }) => state === "done")

export const decide = (spec: CopySpec, known: ReadonlyArray<Copy>): Decision => {
  const same = known.filter((copy) => alike(copy, spec))
  const once = spec.subscription === undefined && !spec.repeatable
  const done = namesOf(once ? same.filter((copy) => isOver(copy.state)).flatMap(copied) : [])
  const wanted = [...new Map(spec.tables.map((name) => [nameOf(name), name])).values()]
  const skipped = wanted.filter((name) => done.has(nameOf(name)))
  const rest = wanted.filter((name) => !done.has(nameOf(name)))
  const unfinished = same.filter((copy) => !isOver(copy.state))
  const underWay = namesOf(unfinished.flatMap((copy) => copy.tables))
  const tables = rest.filter((name) => !underWay.has(nameOf(name)))
  const goesOn = tables.length > 0 || rest.length === 0
    ? undefined
    : unfinished.find((copy) => copy.tables.some((name) => nameOf(name) === nameOf(rest[0]!)))
  return { goesOn, tables, skipped }
}
