/**
 * wal2json, `format-version` 2: one JSON record a message, with `action` B, I, U, D, T, M or C first.
 *
 * Source: wal2json's README and output of version 2.5 (test/fixtures).
 */
import type { Item } from "../Chunk.ts"
import type { Decoder, DecoderOptions } from "../Decoder.ts"
import type { Frame } from "../Frame.ts"
import * as Mark from "../copy/Mark.ts"
import * as Lsn from "../Lsn.ts"
import * as Timestamp from "../Timestamp.ts"
import { OpenTransaction, outside, ownSchema, transactionOf } from "../Transactions.ts"
import * as JsonText from "./JsonText.ts"
import { matches, Split } from "./Layout.ts"
import { type Table, Tables } from "./Tables.ts"
import { rawRow, type RawRow, Wal2jsonChange } from "./Wal2jsonChange.ts"

const QUOTE = 0x22
const COMMA = 0x2c
const BRACE = 0x7d
const HEAD = Buffer.from("{\"action\":\"")

/** What a record said. One object, filled again for each. Offsets of texts between quotes; `-1`: not there. */
class Fields {
  xidFrom = -1
  xidTo = -1
  timestampFrom = -1
  timestampTo = -1
  lsnFrom = -1
  lsnTo = -1
  schemaAt = -1
  schemaFrom = -1
  schemaTo = -1
  table: Table | undefined = undefined
  transactional = false
  prefixFrom = -1
  prefixTo = -1
  contentFrom = -1
  contentTo = -1
  newRaw: RawRow | undefined = undefined
  oldRaw: RawRow | undefined = undefined

  clear(): void {
    this.xidFrom = this.xidTo = -1
    this.timestampFrom = this.timestampTo = this.lsnFrom = this.lsnTo = -1
    this.schemaAt = this.schemaFrom = this.schemaTo = -1
    this.table = undefined
    this.transactional = false
    this.prefixFrom = this.prefixTo = this.contentFrom = this.contentTo = -1
    this.newRaw = this.oldRaw = undefined
  }
}

export class Wal2jsonDecoder implements Decoder {
  private readonly maxFrameBytes: number
  private readonly open = new OpenTransaction()
  private readonly tables = new Tables()
  private readonly fields = new Fields()
  private readonly split = new Split()

  constructor(options: DecoderOptions) {
    this.maxFrameBytes = options.maxFrameBytes
  }

  push(frame: Frame, out: Array<Item>): void {
    if (frame.keepalive) {
      out.push({ _tag: "Keepalive", walEnd: frame.lsn })
      return
    }
    const { bytes, end, start } = frame
    const headed = matches(bytes, start, end - 1, HEAD)
    const action = headed ? String.fromCharCode(bytes[start + HEAD.length]!) : ""
    const reason = this.record(frame, action, out)
    if (reason === undefined) return
    const table = this.fields.table
    const counted = action === "M" ? this.fields.transactional : "IUDT".includes(action) && action !== ""
    const name = table === undefined ? undefined : `${table.schema}.${table.table}`
    const item = this.open.undecodable(frame, counted, reason, name)
    if (table?.dropped !== true) out.push(item)
  }

  private record(frame: Frame, action: string, out: Array<Item>): string | undefined {
    this.fields.clear()
    switch (action) {
      case "I": case "U": case "D": case "T": return this.change(frame, action, out)
      case "B": return this.begin(frame)
      case "C": return this.commit(frame, out)
      case "M": return this.message(frame, out)
      default: return "a record whose action is not known"
    }
  }

  /**
   * Walks the record's members behind its action. `false`: it is not the JSON that wal2json writes. Ends early, with
   * `true`, at the columns of a table of ours or of a row over the limit.
   */
  private walk({ bytes, end, start }: Frame): boolean {
    let at = start + HEAD.length + 1
    if (bytes[at] !== QUOTE) return false
    at++
    for (;;) {
      if (at >= end) return false
      if (bytes[at] === BRACE) return at === end - 1
      if (bytes[at] !== COMMA || bytes[at + 1] !== QUOTE) return false
      const keyAt = at + 2
      const keyEnd = JsonText.stringEnd(bytes, keyAt, end)
      if (keyEnd < 0 || keyEnd + 2 >= end || bytes[keyEnd + 1] !== 0x3a) return false
      const table = this.fields.table
      const array = table !== undefined && bytes[keyEnd + 2] === 0x5b
      if (array && (table.dropped || end - start > this.maxFrameBytes)) return true
      at = array ? this.array(table, bytes, keyAt, keyEnd, end) : this.member(bytes, keyAt, keyEnd, end)
      if (at < 0) return false
    }
  }

  private array(table: Table, bytes: Buffer, keyAt: number, keyEnd: number, end: number): number {
    const identity = keyEnd - keyAt === 8 && bytes[keyAt] === 0x69
    if (!identity && (keyEnd - keyAt !== 7 || bytes[keyAt] !== 0x63)) return JsonText.skipValue(bytes, keyEnd + 2, end)
    const behind = table.split(identity, bytes, keyEnd + 2, end, this.split)
    if (behind < 0) return -1
    if (identity) this.fields.oldRaw = rawRow(this.split)
    else this.fields.newRaw = rawRow(this.split)
    return behind
  }

  /**
   * One member that is not a row. Keys are told apart by length and first letter: xid lsn table schema prefix content
   * timestamp transactional.
   */
  private member(bytes: Buffer, keyAt: number, keyEnd: number, end: number): number {
    const fields = this.fields
    const valueAt = keyEnd + 2
    const behind = JsonText.skipValue(bytes, valueAt, end)
    if (behind < 0) return -1
    const first = bytes[keyAt]!
    if (bytes[valueAt] !== QUOTE) {
      if (keyEnd - keyAt === 3 && first === 0x78) {
        fields.xidFrom = valueAt
        fields.xidTo = behind
      } else if (keyEnd - keyAt === 13 && first === 0x74) fields.transactional = bytes[valueAt] === 0x74
      return behind
    }
    const from = valueAt + 1
    const to = behind - 1
    switch (keyEnd - keyAt) {
      case 3: if (first === 0x6c) { fields.lsnFrom = from; fields.lsnTo = to } break
      case 5:
        if (first === 0x74 && fields.schemaAt >= 0) {
          fields.table = this.tables.find(bytes, fields.schemaAt, behind, fields.schemaFrom, fields.schemaTo, from, to)
        }
        break
      case 6:
        if (first === 0x73) { fields.schemaAt = keyAt - 1; fields.schemaFrom = from; fields.schemaTo = to }
        else if (first === 0x70) { fields.prefixFrom = from; fields.prefixTo = to }
        break
      case 7: if (first === 0x63) { fields.contentFrom = from; fields.contentTo = to } break
      case 9: if (first === 0x74) { fields.timestampFrom = from; fields.timestampTo = to } break
      default:
    }
    return behind
  }

  private begin(frame: Frame): string | undefined {
    if (!this.walk(frame)) return "a B record that is not JSON"
    const { lsnFrom, lsnTo, timestampFrom, timestampTo, xidFrom, xidTo } = this.fields
    const lsn = lsnFrom < 0 ? undefined : Lsn.parse(frame.bytes.toString("latin1", lsnFrom, lsnTo))
    if (lsn?._tag !== "Success") return "a B record without its lsn"
    const timestamp = timestampFrom < 0 ? "" : frame.bytes.toString("latin1", timestampFrom, timestampTo)
    const commitTimeUs = Timestamp.parse(timestamp)
    if (commitTimeUs === undefined) return "a B record without a timestamp in ISO form"
    const xid = xidFrom < 0 ? 0 : (Number(frame.bytes.toString("latin1", xidFrom, xidTo)) || 0) >>> 0
    this.open.begin(transactionOf(lsn.success, commitTimeUs, timestamp, xid))
    return undefined
  }

  private commit(frame: Frame, out: Array<Item>): string | undefined {
    const transaction = this.open.current
    if (transaction === undefined) return "a C record outside of a transaction"
    this.open.end()
    // XLogData starts at the transaction's end LSN for a commit, whatever the record says of itself.
    out.push({ _tag: "Commit", transaction, endLsn: frame.lsn, shapes: undefined, definitions: undefined })
    return undefined
  }

  private change(frame: Frame, kind: "I" | "U" | "D" | "T", out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    const transaction = this.open.current
    if (transaction === undefined) return "a row outside of a transaction"
    if (!this.walk(frame)) return "a record that is not the JSON of wal2json's format version 2"
    const { newRaw, oldRaw, table } = this.fields
    if (table === undefined) return "a record without its table"
    if (table.dropped) {
      this.open.next()
      return undefined
    }
    if (end - start > this.maxFrameBytes) return `a row of ${end - start} bytes, over the limit of ${this.maxFrameBytes}`
    if ((kind === "I" || kind === "U") !== (newRaw !== undefined)) return "a record with other rows than its action needs"
    if ((kind === "U" || kind === "D") !== (oldRaw !== undefined)) return "a record with another identity than its action needs"
    const relation = table.relation(newRaw?.columns)
    const ordinal = this.open.next()
    out.push(new Wal2jsonChange(
      kind, transaction, ordinal, frame.lsn, relation, undefined, end - start, bytes, newRaw, oldRaw))
    return undefined
  }

  private message(frame: Frame, out: Array<Item>): string | undefined {
    const { bytes, end, start } = frame
    if (!this.walk(frame)) return "an M record that is not JSON"
    const { contentFrom, contentTo, prefixFrom, prefixTo, transactional } = this.fields
    const transaction = transactional ? this.open.current : outside(frame.lsn)
    if (transaction === undefined) return "a transactional message outside of a transaction"
    if (prefixFrom < 0 || contentFrom < 0) return "an M record without its prefix or content"
    const prefix = JsonText.text(bytes, prefixFrom, prefixTo)
    if (prefix !== ownSchema && end - start > this.maxFrameBytes) {
      return `a logical message of ${end - start} bytes, over the limit of ${this.maxFrameBytes}`
    }
    const ordinal = transactional ? this.open.next() : -1
    if (prefix === ownSchema && !(transactional && Mark.isMark(bytes, contentFrom, contentTo))) return undefined
    const target = Buffer.allocUnsafe(contentTo - contentFrom)
    const size = JsonText.unescape(bytes, contentFrom, contentTo, target, 0)
    const message = { prefix, transactional, bytes: target, start: 0, end: size }
    out.push(new Wal2jsonChange(
      "M", transaction, ordinal, frame.lsn, undefined, message, end - start, bytes, undefined, undefined))
    return undefined
  }
}
