/**
 * A segment as bytes, from which one endpoint's events are read without those of the others being made.
 *
 * - Version (1 byte); where the bodies begin (4, big endian); number of events; texts that are named by their number
 *   (endpoints, epochs, tables, kinds, selections).
 * - Each event: commit LSN as a difference, place, id (what it shares with the one before, and the rest), length of the
 *   body, table, kind, its lists of keys.
 * - Each endpoint: its text, the length of its part, and for each of its events: how many events on, epoch, number as a
 *   difference, selection, list of keys.
 * - The bodies, one after the other.
 *
 * A key is two signed numbers and two doubles. `SegmentBytes` has the forms of numbers and texts.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Key } from "./Key.ts"
import type { SegmentEvent, SegmentTarget } from "./Segment.ts"
import { ByteReader, ByteWriter } from "./SegmentBytes.ts"
import type { EndpointId } from "./Subscription.ts"

const VERSION = 1
const HEAD_BYTES = 5

/** The bytes are not a segment of this version. */
export class SegmentUnreadable extends Schema.TaggedError<SegmentUnreadable>()("SegmentUnreadable", {
  version: Schema.Int
}) {
  /** Of a form that this program does not know. */
  get isOther(): boolean {
    return this.version !== VERSION
  }

  override get message() {
    return this.isOther ? `its form is ${this.version}, and this program knows ${VERSION}` : "its bytes were changed"
  }
}

class Texts {
  readonly list: Array<string> = []
  private readonly numbers = new Map<string, number>()
  /** Lists that are the same array are the same text. */
  private readonly joined = new Map<ReadonlyArray<string>, number>()

  numberOf(text: string): number {
    let number = this.numbers.get(text)
    if (number === undefined) {
      this.numbers.set(text, number = this.list.length)
      this.list.push(text)
    }
    return number
  }

  numberOfAll(texts: ReadonlyArray<string>): number {
    let number = this.joined.get(texts)
    if (number === undefined) this.joined.set(texts, number = this.numberOf(texts.join(",")))
    return number
  }
}

/** One endpoint's part while it is written. */
interface Part {
  readonly out: ByteWriter
  count: number
  event: number
  sequence: number
}

/** How much of the id before is in this one; 0 where a cut could go through a character. */
const shared = (before: string, id: string): number => {
  let length = 0
  const most = Math.min(before.length, id.length)
  while (length < most) {
    const code = id.charCodeAt(length)
    if (code !== before.charCodeAt(length) || code >= 0x80) return code >= 0x80 ? 0 : length
    length++
  }
  return length
}

const sameKeys = (a: ReadonlyArray<Key>, b: ReadonlyArray<Key>): boolean =>
  a === b || (a.length === b.length && a.every((key, i) => {
    const other = b[i]!
    return key.leaf === other.leaf && key.root === other.root && key.definition === other.definition && key.value === other.value
  }))

/** Lists of keys of one event: its endpoints share one for each order mode. */
const keyListsTo = (lists: Array<ReadonlyArray<Key>>, targets: ReadonlyArray<SegmentTarget>): void => {
  lists.length = 0
  for (const { keys } of targets) if (placeOf(lists, keys) < 0) lists.push(keys)
}

const placeOf = (lists: ReadonlyArray<ReadonlyArray<Key>>, keys: ReadonlyArray<Key>): number => {
  for (let n = 0; n < lists.length; n++) if (sameKeys(lists[n]!, keys)) return n
  return -1
}

const writeKeys = (out: ByteWriter, keys: ReadonlyArray<Key>): void => {
  out.unsigned(keys.length)
  for (const { definition, leaf, root, value } of keys) {
    out.signed(leaf)
    out.signed(root)
    out.double(definition)
    out.double(value)
  }
}

const writeTarget = (part: Part, texts: Texts, event: number, list: number, target: SegmentTarget): void => {
  const { out } = part
  out.unsigned(event - part.event)
  out.unsigned(texts.numberOf(target.epoch))
  out.signed(target.sequence - part.sequence)
  out.unsigned(texts.numberOfAll(target.selectedBy))
  out.unsigned(list)
  part.count++
  part.event = event
  part.sequence = target.sequence
}

const writeEvents = (events: ReadonlyArray<SegmentEvent>, texts: Texts, parts: Map<EndpointId, Part>): ByteWriter => {
  const out = new ByteWriter(events.length * 80)
  const lists: Array<ReadonlyArray<Key>> = []
  let [lsn, id] = [0, ""]
  for (let n = 0; n < events.length; n++) {
    const event = events[n]!
    const common = shared(id, event.id)
    out.signed(event.commitLsn - lsn)
    out.signed(event.ordinal)
    out.unsigned(common)
    out.textFrom(event.id, common)
    out.unsigned(event.body.byteLength)
    out.unsigned(texts.numberOf(event.table))
    out.unsigned(texts.numberOf(event.kind))
    keyListsTo(lists, event.targets)
    out.unsigned(lists.length)
    for (const list of lists) writeKeys(out, list)
    for (const target of event.targets) {
      let part = parts.get(target.endpointId)
      if (part === undefined) parts.set(target.endpointId, part = { out: new ByteWriter(events.length * 6), count: 0, event: 0, sequence: 0 })
      writeTarget(part, texts, n, placeOf(lists, target.keys), target)
    }
    lsn = event.commitLsn
    id = event.id
  }
  return out
}

/** Bytes of their own: slabs of the events may be used again. */
export const encode = (events: ReadonlyArray<SegmentEvent>): Uint8Array => {
  const texts = new Texts()
  const parts = new Map<EndpointId, Part>()
  const written = writeEvents(events, texts, parts).written()
  for (const endpoint of parts.keys()) texts.numberOf(endpoint)
  const out = new ByteWriter(HEAD_BYTES + written.length + events.reduce((sum, { body }) => sum + body.byteLength, 1024))
  out.raw(Uint8Array.of(VERSION, 0, 0, 0, 0))
  out.unsigned(events.length)
  out.unsigned(texts.list.length)
  for (const text of texts.list) out.text(text)
  out.raw(written)
  out.unsigned(parts.size)
  for (const [endpoint, part] of parts) {
    out.unsigned(texts.numberOf(endpoint))
    out.unsigned(part.out.at)
    out.unsigned(part.count)
    out.raw(part.out.written())
  }
  out.bytes.writeUInt32BE(out.at, 1)
  for (const { body } of events) out.raw(body)
  return out.written()
}

/** What is read of all events: where each is, so that only those of the endpoint are made. */
interface Places {
  readonly ids: Array<string>
  readonly lsns: Float64Array
  readonly ordinals: Float64Array
  readonly bodies: Float64Array
  readonly kinds: Int32Array
  readonly keys: Int32Array
}

const skipKeys = (from: ByteReader): void => {
  for (let lists = from.count(); lists > 0; lists--) {
    for (let keys = from.count(); keys > 0; keys--) {
      from.signed()
      from.signed()
      from.skip(16)
    }
  }
}

const readPlaces = (from: ByteReader, count: number, bodiesAt: number): Places => {
  const places: Places = {
    ids: [], lsns: new Float64Array(count), ordinals: new Float64Array(count), bodies: new Float64Array(count + 1),
    kinds: new Int32Array(2 * count), keys: new Int32Array(count)
  }
  let [lsn, id, body] = [0, "", bodiesAt]
  for (let n = 0; n < count; n++) {
    places.lsns[n] = lsn += from.signed()
    places.ordinals[n] = from.signed()
    id = id.slice(0, from.unsigned()) + from.text()
    places.ids.push(id)
    places.bodies[n] = body
    body += from.unsigned()
    places.kinds[2 * n] = from.unsigned()
    places.kinds[2 * n + 1] = from.unsigned()
    places.keys[n] = from.at
    skipKeys(from)
  }
  places.bodies[count] = body
  return places
}

const readKeys = (bytes: Buffer, at: number, list: number): ReadonlyArray<Key> => {
  const from = new ByteReader(bytes, at)
  const lists = from.count()
  for (let n = 0; n < lists; n++) {
    const keys: Array<Key> = []
    for (let left = from.count(); left > 0; left--) {
      keys.push({ leaf: from.signed(), root: from.signed(), definition: from.double(), value: from.double() })
    }
    if (n === list) return keys
  }
  return []
}

const selectionOf = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split(","))

/** Which of an endpoint's events are made. */
export interface Wanted {
  /** Passes over so many of its own. */
  readonly from: number
  /** Events of the segment, of all endpoints, from this one on are cut off. */
  readonly cutAt: number
}

/** Tells each event of the endpoint by its place in the segment. */
const readPart = (
  from: ByteReader, texts: ReadonlyArray<string>, places: Places, endpointId: EndpointId, wanted: Wanted,
  tell: (place: number, target: SegmentTarget) => void
): void => {
  const selections = new Map<string, ReadonlyArray<string>>()
  const count = from.unsigned()
  let [n, sequence] = [0, 0]
  for (let own = 0; own < count && !from.isBroken; own++) {
    n += from.unsigned()
    const epoch = texts[from.unsigned()] ?? ""
    sequence += from.signed()
    const selection = texts[from.unsigned()] ?? ""
    const list = from.unsigned()
    if (n >= wanted.cutAt || n >= places.ids.length) continue
    if (own < wanted.from) continue
    let selectedBy = selections.get(selection)
    if (selectedBy === undefined) selections.set(selection, selectedBy = selectionOf(selection))
    tell(n, { endpointId, epoch, sequence, selectedBy, keys: readKeys(from.bytes, places.keys[n]!, list) })
  }
}

interface Opened {
  readonly from: ByteReader
  readonly texts: ReadonlyArray<string>
  readonly places: Places
}

const open = (bytes: Uint8Array): Result.Result<Opened, SegmentUnreadable> => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = buffer[0] ?? 0
  if (version !== VERSION || buffer.length < HEAD_BYTES) return Result.fail(new SegmentUnreadable({ version }))
  const from = new ByteReader(buffer, HEAD_BYTES)
  const count = from.count()
  const texts: Array<string> = []
  for (let left = from.count(); left > 0; left--) texts.push(from.text())
  const places = readPlaces(from, count, buffer.readUInt32BE(1))
  return from.isBroken || places.bodies[count]! !== buffer.length
    ? Result.fail(new SegmentUnreadable({ version }))
    : Result.succeed({ from, texts, places })
}

const eventOf = ({ from: { bytes }, places, texts }: Opened, n: number, targets: ReadonlyArray<SegmentTarget>): SegmentEvent => ({
  id: places.ids[n]!,
  body: bytes.subarray(places.bodies[n], places.bodies[n + 1]),
  commitLsn: places.lsns[n]!,
  ordinal: places.ordinals[n]!,
  table: texts[places.kinds[2 * n]!] ?? "",
  kind: texts[places.kinds[2 * n + 1]!] ?? "",
  targets
})

/**
 * The endpoint's events in their order, bodies as views of `bytes`. Total: bytes that are no segment are a failure,
 * never an exception.
 */
export const decode = (
  bytes: Uint8Array, endpoint: EndpointId, wanted: Wanted
): Result.Result<ReadonlyArray<SegmentEvent>, SegmentUnreadable> =>
  Result.flatMap(open(bytes), (opened) => {
    const { from, places, texts } = opened
    const events: Array<SegmentEvent> = []
    for (let left = from.count(); left > 0; left--) {
      const [name, length] = [texts[from.unsigned()], from.unsigned()]
      if (name === endpoint) {
        readPart(from, texts, places, endpoint, wanted, (n, target) => events.push(eventOf(opened, n, [target])))
        break
      }
      from.unsigned()
      from.skip(length)
    }
    return from.isBroken ? Result.fail(new SegmentUnreadable({ version: VERSION })) : Result.succeed(events)
  })

/**
 * All events with all their targets, these in the order of their endpoints' first events. For what changes a segment;
 * total as `decode`.
 */
export const decodeAll = (bytes: Uint8Array): Result.Result<ReadonlyArray<SegmentEvent>, SegmentUnreadable> =>
  Result.flatMap(open(bytes), (opened) => {
    const { from, places, texts } = opened
    const targets = places.ids.map((): Array<SegmentTarget> => [])
    const all = { from: 0, cutAt: places.ids.length }
    for (let left = from.count(); left > 0; left--) {
      const name = texts[from.unsigned()] ?? ""
      from.unsigned()
      readPart(from, texts, places, name, all, (n, target) => targets[n]!.push(target))
    }
    return from.isBroken
      ? Result.fail(new SegmentUnreadable({ version: VERSION }))
      : Result.succeed(targets.map((of, n) => eventOf(opened, n, of)))
  })
