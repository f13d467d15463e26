/**
 * A mark: a place in the stream that a copy wrote (DESIGN.md "Copy"). A transactional message with the prefix
 * `pgstream` and the content `copy:<id>`, or a row of `pgstream.marks` of that kind where the plugin has no messages.
 * Ids are random: whoever may write messages cannot guess one.
 */
import type { Change } from "../Change.ts"
import type { Chunk } from "../Chunk.ts"

const PREFIX = "pgstream"
const START = "copy:"
const start = new TextEncoder().encode(START)

export const textOf = (id: string): string => START + id

/** Is it the content of a mark? For the decoders, which drop all other messages of that prefix. */
export const isMark = (bytes: Uint8Array, from: number, to: number): boolean => {
  if (to - from < start.length) return false
  for (let i = 0; i < start.length; i++) if (bytes[from + i] !== start[i]) return false
  return true
}

/** `kind` of a new row of `pgstream.marks`. */
const kindOf = (change: Change): string | undefined => {
  const row = change.newRow()
  const place = row?.columns.findIndex((column) => column.name === "kind") ?? -1
  if (row === undefined || place < 0 || row.spans[2 * place]! < 0) return undefined
  return row.bytes.toString("utf8", row.spans[2 * place]!, row.spans[2 * place + 1]!)
}

/** The mark's id; `""` for another record of ours that ends here too; `undefined`: it is no mark. */
export const idOf = (change: Change): string | undefined => {
  const { message, relation } = change
  if (message !== undefined) {
    if (message.prefix !== PREFIX) return undefined
    return message.bytes.toString("latin1", message.start + START.length, message.end)
  }
  if (relation?.table !== "marks" || relation.schema !== PREFIX) return undefined
  const kind = change.kind === "I" ? kindOf(change) : undefined
  return kind?.startsWith(START) === true ? kind.slice(START.length) : ""
}

/** Without a copier, marks end here: nobody is sent one. */
export const dropped = (chunk: Chunk): Chunk =>
  chunk.items.some((item) => item._tag === "Change" && idOf(item) !== undefined)
    ? { ...chunk, items: chunk.items.filter((item) => item._tag !== "Change" || idOf(item) === undefined) }
    : chunk
