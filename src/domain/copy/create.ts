/** What comes of a request, given those that are there: the same decision for every layer of `CopyRequests`. */
import { type Copy, type CopyId, type CopySpec, isOver, nameOf, type TableName } from "./Copy.ts"

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

/** Copies that are over and stay listed, at most: the newest, and those that say what is not copied again. */
export const KEPT_COPIES = 500

/** Over, and nothing rests on it: what a start that is not repeatable has copied does. */
const mayGo = (copy: Copy): boolean =>
  isOver(copy.state) && (copy.subscription !== undefined || copy.repeatable || copied(copy).length === 0)

/** Those that need not be kept any more. `known`: oldest first. */
export const superfluous = (known: ReadonlyArray<Copy>): ReadonlyArray<CopyId> => {
  const over = known.filter(mayGo)
  return over.slice(0, Math.max(0, over.length - KEPT_COPIES)).map(({ id }) => id)
}

/** What the program before has copied to its end: names, or `*` for all of a schema or of every schema. */
const copiedBefore = (before: ReadonlyArray<TableName>) => {
  const names = namesOf(before)
  return (name: TableName): boolean =>
    names.has(nameOf(name)) || names.has(nameOf({ ...name, table: "*" })) || names.has("*.*")
}

/** `before`: as `pgstream.snapshot_requests` has it of the program that was there before. */
export const decide = (spec: CopySpec, known: ReadonlyArray<Copy>, before: ReadonlyArray<TableName> = []): Decision => {
  const same = known.filter((copy) => alike(copy, spec))
  const once = spec.subscription === undefined && !spec.repeatable
  const done = namesOf(once ? same.filter((copy) => isOver(copy.state)).flatMap(copied) : [])
  const wanted = [...new Map(spec.tables.map((name) => [nameOf(name), name])).values()]
  const isBefore = copiedBefore(once ? before : [])
  const isDone = (name: TableName) => done.has(nameOf(name)) || isBefore(name)
  const skipped = wanted.filter(isDone)
  const rest = wanted.filter((name) => !isDone(name))
  const unfinished = same.filter((copy) => !isOver(copy.state))
  const underWay = namesOf(unfinished.flatMap((copy) => copy.tables))
  const tables = rest.filter((name) => !underWay.has(nameOf(name)))
  const goesOn = tables.length > 0 || rest.length === 0
    ? undefined
    : unfinished.find((copy) => copy.tables.some((name) => nameOf(name) === nameOf(rest[0]!)))
  return { goesOn, tables, skipped }
}
