/** What enters the stream at a high mark: rows as changes, each with an id that says which version of which row it is. */
import { hash } from "node:crypto"
import type { Change, CopyOrigin, Relation } from "../../domain/Change.ts"
import { CopiedRow, type EntryPlace } from "../../domain/copy/CopiedRow.ts"
import type { Copy } from "../../domain/copy/Copy.ts"
import { SchemaChange } from "../../domain/SchemaEntryChange.ts"
import type { SchemaLogEntry } from "../../domain/TableShape.ts"
import type { ReadRow } from "../../services/TableReader.ts"

const ID_DIGITS = 32

const idOf = (...parts: ReadonlyArray<string>): string => `s-${hash("sha256", parts.join("\0"), "hex").slice(0, ID_DIGITS)}`

/** A request, told from one of the same number in another database or after a restore. */
const requestOf = (copy: Copy): string => `${copy.id} ${copy.createdAtMs}`

const columnTexts = new WeakMap<Relation, string>()
const columnText = (relation: Relation): string => {
  let text = columnTexts.get(relation)
  if (text === undefined) columnTexts.set(relation, text = relation.columns.map(({ name }) => name).join("\0"))
  return text
}

/** `key`: as text; of a table without one, the file in which `read.version` has its pointer. */
export const rowOf = (
  copy: Copy, place: EntryPlace, sub: number, relation: Relation, read: ReadRow, key: string
): Change => {
  const origin: CopyOrigin = {
    id: idOf(requestOf(copy), String(relation.oid), key, read.version, columnText(relation)),
    subscription: copy.subscription
  }
  return new CopiedRow(place, sub, relation, read.row, origin)
}

/** The newest logged entry of the schema, for who asked alone. `affects`: tables that have to wait for it. */
export const entryOf = (copy: Copy, place: EntryPlace, entry: SchemaLogEntry, affects: ReadonlyArray<number>): Change =>
  new SchemaChange(
    { _tag: "Entry", place: { ...placeOnly(place), nextSub: 1 }, sub: 0, entry, affects },
    { id: idOf(requestOf(copy), "entry", entry.id), subscription: copy.subscription }
  )

const placeOnly = ({ lsn, ordinal, transaction }: EntryPlace): EntryPlace => ({ lsn, ordinal, transaction })
