/**
 * pgoutput, protocol 1: Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, Message.
 *
 * Source: PostgreSQL documentation, "Logical Replication Message Formats".
 */
import type { OldRowKind } from "../Change.ts"
import type { Item } from "../Chunk.ts"
import type { Decoder, DecoderOptions } from "../Decoder.ts"
import type { Frame } from "../Frame.ts"
import * as Mark from "../copy/Mark.ts"
import * as Lsn from "../Lsn.ts"
import * as Timestamp from "../Timestamp.ts"
import { OpenTransaction, outside, ownSchema, transactionOf } from "../Transactions.ts"
import { PgoutputChange } from "./PgoutputChange.ts"
import { type Known, Relations } from "./Relations.ts"
import * as Tuple from "./Tuple.ts"

const B = 0x42
const C = 0x43
const D = 0x44
const I = 0x49
const K = 0x4b
const M = 0x4d
const N = 0x4e
const O = 0x4f
const R = 0x52
const T = 0x54
const U = 0x55
const Y = 0x59

const name = (known: Known): string => `${known.relation.schema}.${known.relation.table}`

export class PgoutputDecoder implements Decoder {
  private readonly maxFrameBytes: number
  private readonly zone: Timestamp.Zone | undefined
  private readonly open = new OpenTransaction()
  private readonly relations = new Relations()

  constructor(options: DecoderOptions) {
    this.maxFrameBytes = options.maxFrameBytes
    this.zone = options.zone
  }

  push(frame: Frame, out: Array<Item>): void {
    if (frame.keepalive) {
      out.push({ _tag: "Keepalive", walEnd: frame.lsn })
      return
    }
    const reason = this.read(frame, out)
    if (reason === undefined) return
    const { bytes, end, start } = frame
    const type = start < end ? bytes[start]! : 0
    const row = type === I || type === U || type === D
    const counted = row || type === T || (type === M && start + 1 < end && bytes[start + 1] === 1)
    const known = row && start + 5 <= end ? this.relations.get(bytes.readUInt32BE(start + 1)) : undefined
    const item = this.open.undecodable(frame, counted, reason, known === undefined ? undefined : name(known))
    if (known?.dropped !== true) out.push(item)
  }

  /** Why the frame cannot be read; `undefined` if it was. */
  private read(frame: Frame, out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    if (start >= end) return "an empty message"
    switch (bytes[start]) {
      case I: case U: case D: return this.row(frame, out)
      case B: return this.begin(frame)
      case C: return this.commit(frame, out)
      case R: return this.relations.relation(bytes, start + 1, end) ? undefined : "a bad Relation message"
      case Y: return this.relations.type(bytes, start + 1, end) ? undefined : "a bad Type message"
      case T: return this.truncate(frame, out)
      case M: return this.message(frame, out)
      case O: return undefined
      default: return `a message of unknown type 0x${bytes[start]!.toString(16)}`
    }
  }

  private begin({ bytes, end, start }: Frame): string | undefined {
    if (end - start < 21) return "a Begin message that is cut short"
    const commitTimeUs = bytes.readInt32BE(start + 9) * 2 ** 32 + bytes.readUInt32BE(start + 13)
    this.open.begin(transactionOf(
      Lsn.read(bytes, start + 1), commitTimeUs, Timestamp.format(commitTimeUs, this.zone), bytes.readUInt32BE(start + 17)))
    return undefined
  }

  private commit({ bytes, end, start }: Frame, out: Array<Item>): string | undefined {
    const transaction = this.open.current
    if (end - start < 26) return "a Commit message that is cut short"
    if (transaction === undefined) return "a Commit message outside of a transaction"
    this.open.end()
    out.push({ _tag: "Commit", transaction, endLsn: Lsn.read(bytes, start + 10), shapes: undefined, definitions: undefined })
    return undefined
  }

  private row(frame: Frame, out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    const transaction = this.open.current
    if (transaction === undefined) return "a row outside of a transaction"
    if (end - start < 6) return "a row message that is cut short"
    const known = this.relations.get(bytes.readUInt32BE(start + 1))
    if (known === undefined) return "a row of a relation that was not described"
    if (known.dropped) {
      this.open.next()
      return undefined
    }
    if (end - start > this.maxFrameBytes) return `a row of ${end - start} bytes, over the limit of ${this.maxFrameBytes}`
    const columns = known.relation.columns.length
    const type = bytes[start]!
    let at = start + 5
    let oldAt = 0
    let newAt = 0
    let oldKind: OldRowKind = ""
    if (type !== I && (bytes[at] === K || bytes[at] === O)) {
      oldKind = bytes[at] === K ? "K" : "O"
      oldAt = at + 1
      at = Tuple.skip(bytes, oldAt, end, columns)
      if (at < 0) return "an old row that does not fit its relation"
    }
    if (type !== D) {
      if (at >= end || bytes[at] !== N) return "a new row is missing"
      newAt = at + 1
      at = Tuple.skip(bytes, newAt, end, columns)
      if (at < 0) return "a new row that does not fit its relation"
    } else if (oldAt === 0) {
      return "an old row is missing"
    }
    if (at !== end) return "a row message with bytes behind its end"
    out.push(new PgoutputChange(
      type === I ? "I" : type === U ? "U" : "D",
      transaction, this.open.next(), frame.lsn, known.relation, oldKind, undefined, end - start, bytes, newAt, oldAt))
    return undefined
  }

  private truncate(frame: Frame, out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    const transaction = this.open.current
    if (transaction === undefined) return "a Truncate message outside of a transaction"
    const count = end - start < 6 ? 0 : bytes.readUInt32BE(start + 1)
    if (count === 0 || end - start !== 6 + count * 4) return "a Truncate message of another length than it says"
    for (let at = start + 6; at < end; at += 4) {
      const known = this.relations.get(bytes.readUInt32BE(at))
      if (known === undefined) {
        out.push(this.open.undecodable(frame, true, "a Truncate of a relation that was not described", undefined))
        continue
      }
      const ordinal = this.open.next()
      if (known.dropped) continue
      const share = Math.ceil((end - start) / count)
      out.push(new PgoutputChange("T", transaction, ordinal, frame.lsn, known.relation, "", undefined, share, bytes, 0, 0))
    }
    return undefined
  }

  private message(frame: Frame, out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    const stop = start + 10 < end ? bytes.indexOf(0, start + 10) : -1
    if (stop < 0 || stop + 5 > end) return "a logical message that is cut short"
    if (bytes.readUInt32BE(stop + 1) !== end - stop - 5) return "a logical message of another length than it says"
    const transactional = (bytes[start + 1]! & 1) === 1
    const transaction = transactional ? this.open.current : outside(frame.lsn)
    if (transaction === undefined) return "a transactional message outside of a transaction"
    const prefix = bytes.toString("utf8", start + 10, stop)
    if (prefix !== ownSchema && end - start > this.maxFrameBytes) {
      return `a logical message of ${end - start} bytes, over the limit of ${this.maxFrameBytes}`
    }
    const ordinal = transactional ? this.open.next() : -1
    if (prefix === ownSchema && !(transactional && Mark.isMark(bytes, stop + 5, end))) return undefined
    const message = { prefix, transactional, bytes, start: stop + 5, end }
    out.push(new PgoutputChange("M", transaction, ordinal, frame.lsn, undefined, "", message, end - start, bytes, 0, 0))
    return undefined
  }
}
