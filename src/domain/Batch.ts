/**
 * The body of a request that carries several events: `[{"id":…,"sequence":…,"timestamp":…,"event":{"Data":…}}, …]`, in
 * the order of the items. The bodies of the events are copied as they are, not parsed.
 */
import type { EventId } from "./EventId.ts"
import * as JsonBytes from "./JsonBytes.ts"

export interface BatchItem {
  /** By which receivers drop duplicates: it is the event's own, in whichever batch it comes. */
  readonly id: EventId
  /** As `webhook-sequence`; 0 = none, the field is left out. */
  readonly sequence: number
  /** `{"Data":…}` */
  readonly body: Uint8Array
}

const END_OF_ITEM = 0x7d
const OPEN = 0x5b
const COMMA = 0x2c
const CLOSE = 0x5d

/** `webhook-id` of a batch: the same items always have the same. */
export const idOf = (firstId: EventId, count: number): string => `b-${firstId}-${count}`

/** All but the event. `timestamp` (s since 1970): when this request was made, as `webhook-timestamp`. */
const headOf = ({ id, sequence }: BatchItem, timestampSeconds: number): Buffer =>
  Buffer.from(
    `{"id":${JsonBytes.quote(id)}${sequence > 0 ? `,"sequence":${sequence}` : ""},"timestamp":${timestampSeconds},"event":`,
    "utf8"
  )

/** The body, of its own memory. The items are not kept. */
export const write = (items: ReadonlyArray<BatchItem>, timestampSeconds: number): Uint8Array => {
  const heads = items.map((item) => headOf(item, timestampSeconds))
  let size = 2 + Math.max(items.length - 1, 0)
  for (const [i, head] of heads.entries()) size += head.length + items[i]!.body.length + 1
  const target = Buffer.allocUnsafeSlow(size)
  let at = 0
  target[at++] = OPEN
  for (const [i, head] of heads.entries()) {
    const { body } = items[i]!
    if (i > 0) target[at++] = COMMA
    at = JsonBytes.copy(target, at, head, 0, head.length)
    target.set(body, at)
    at += body.length
    target[at++] = END_OF_ITEM
  }
  target[at] = CLOSE
  return target
}
