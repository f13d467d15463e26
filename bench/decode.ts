/**
 * Micro benchmark: CPU of decoding, and of writing bodies, on one thread without a server.
 *
 *   node bench/decode.ts [rows]
 *
 * Rows of eight columns and 350 bytes, 100 a transaction, in frames that lie behind each other in buffers of 128 KiB as the
 * connection cuts them. Prints µs a row: the median of seven runs after two to warm up, per plugin:
 * decode only (what a table costs that nobody subscribed to), with its row split, and with its body written.
 */
import { BodyWriter } from "../src/domain/Body.ts"
import type { Item } from "../src/domain/Chunk.ts"
import * as Decoder from "../src/domain/Decoder.ts"
import type { Frame } from "../src/domain/Frame.ts"
import * as Lsn from "../src/domain/Lsn.ts"

const ROWS = Number(process.argv[2] ?? 100_000)
const PER_TRANSACTION = 100
const READ_BYTES = 128 * 1024

const columns = [
  { name: "id", oid: 20, type: "bigint", typmod: -1 },
  { name: "customer_id", oid: 23, type: "integer", typmod: -1 },
  { name: "status", oid: 1043, type: "character varying(20)", typmod: 24 },
  { name: "amount", oid: 1700, type: "numeric(12,2)", typmod: ((12 << 16) | 2) + 4 },
  { name: "created_at", oid: 1184, type: "timestamp with time zone", typmod: -1 },
  { name: "paid", oid: 16, type: "boolean", typmod: -1 },
  { name: "note", oid: 25, type: "text", typmod: -1 },
  { name: "meta", oid: 3802, type: "jsonb", typmod: -1 }
] as const

const valuesOf = (n: number): ReadonlyArray<string> => [
  String(1_000_000_000 + n), String(40_000 + (n % 1000)), "confirmed", `${n % 900}.95`, "2026-11-24 08:57:26.101914+00", n % 2 === 0 ? "t" : "f",
  "The quick brown fox jumps over the lazy dog while the five boxing wizards jump quickly, and pack my box with five dozen liquor jugs; sphinx.",
  "{\"a\": 1, \"tags\": [\"red\", \"green\"], \"city\": \"Málaga\", \"channel\": \"web\", \"campaign\": \"autumn-2026-north\"}"
]

const int16 = (value: number) => { const b = Buffer.alloc(2); b.writeInt16BE(value); return b }
const int32 = (value: number) => { const b = Buffer.alloc(4); b.writeInt32BE(value | 0); return b }
const lsn8 = (value: number) => { const b = Buffer.alloc(8); Lsn.write(b, 0, value); return b }
const zero = (text: string) => Buffer.from(`${text}\0`)

const pgoutput = {
  begin: (lsn: number) => Buffer.concat([Buffer.from("B"), lsn8(lsn), int32(197_000), int32(5), int32(700)]),
  commit: (lsn: number) => Buffer.concat([Buffer.from("C\0"), lsn8(lsn), lsn8(lsn + 48), int32(197_000), int32(5)]),
  first: [Buffer.concat([Buffer.from("R"), int32(16_400), zero("public"), zero("orders"), Buffer.from("d"), int16(columns.length),
    ...columns.map((c, i) => Buffer.concat([Buffer.from([i === 0 ? 1 : 0]), zero(c.name), int32(c.oid), int32(c.typmod)]))])],
  row: (n: number) => Buffer.concat([Buffer.from("I"), int32(16_400), Buffer.from("N"), int16(columns.length),
    ...valuesOf(n).map((v) => Buffer.concat([Buffer.from("t"), int32(Buffer.byteLength(v)), Buffer.from(v)]))])
}

const wal2json = {
  begin: (lsn: number) => Buffer.from(`{"action":"B","xid":700,"timestamp":"2026-11-24 08:57:26.101914+00","lsn":"${Lsn.format(lsn)}","nextlsn":"${Lsn.format(lsn + 48)}"}`),
  commit: (lsn: number) => Buffer.from(`{"action":"C","xid":700,"timestamp":"2026-11-24 08:57:26.101914+00","lsn":"${Lsn.format(lsn)}","nextlsn":"${Lsn.format(lsn + 48)}"}`),
  first: [] as ReadonlyArray<Buffer>,
  row: (n: number, lsn: number) => Buffer.from(`{"action":"I","xid":700,"timestamp":"2026-11-24 08:57:26.101914+00","lsn":"${Lsn.format(lsn)}","schema":"public","table":"orders","columns":[${
    valuesOf(n).map((v, i) => {
      const type = columns[i]!.type
      const value = i < 2 || i === 3 ? v : i === 5 ? (v === "t" ? "true" : "false") : JSON.stringify(v)
      return `{"name":"${columns[i]!.name}","type":"${type}","value":${value}}`
    }).join(",")}]}`)
}

/** All messages, laid behind each other in buffers of one read, as frames. */
const frames = (source: typeof pgoutput | typeof wal2json): ReadonlyArray<ReadonlyArray<Frame>> => {
  const chunks: Array<Array<Frame>> = []
  let pending: Array<{ readonly bytes: Buffer; readonly lsn: number }> = []
  let size = 0
  const flush = () => {
    const bytes = Buffer.concat(pending.map((each) => each.bytes))
    let at = 0
    chunks.push(pending.map((each) => {
      const start = at
      at += each.bytes.length
      return { keepalive: false, lsn: each.lsn, bytes, start, end: at }
    }))
    pending = []
    size = 0
  }
  const add = (bytes: Buffer, lsn: number) => {
    pending.push({ bytes, lsn })
    size += bytes.length
    if (size >= READ_BYTES) flush()
  }
  let lsn = 0x1_9642_A0B8
  for (let n = 0; n < ROWS; n++) {
    if (n % PER_TRANSACTION === 0) add(source.begin(lsn + 60_000), lsn)
    if (n === 0) for (const each of source.first) add(each, lsn)
    add(source.row(n, lsn += 400), lsn)
    if (n % PER_TRANSACTION === PER_TRANSACTION - 1) add(source.commit(lsn += 60), lsn)
  }
  flush()
  return chunks
}

type Mode = "decode" | "rows" | "body"
const once = (plugin: "pgoutput" | "wal2json", chunks: ReadonlyArray<ReadonlyArray<Frame>>, mode: Mode) => {
  const decoder = Decoder.make(plugin, { maxFrameBytes: 1 << 24 })
  const writer = new BodyWriter()
  let bytes = 0
  let rows = 0
  const started = process.hrtime.bigint()
  for (const chunk of chunks) {
    const items: Array<Item> = []
    for (const frame of chunk) decoder.push(frame, items)
    for (const item of items) {
      if (item._tag !== "Change") continue
      rows++
      if (mode === "rows") bytes += item.newRow()!.spans.length
      else if (mode === "body") bytes += writer.write(item).length
    }
  }
  const us = Number(process.hrtime.bigint() - started) / 1000
  if (rows !== ROWS) throw new Error(`${rows} rows instead of ${ROWS}`)
  return { us: us / rows, bytes: bytes / rows }
}

for (const plugin of ["pgoutput", "wal2json"] as const) {
  const chunks = frames(plugin === "pgoutput" ? pgoutput : wal2json)
  for (const mode of ["decode", "rows", "body"] as const) {
    once(plugin, chunks, mode)
    once(plugin, chunks, mode)
    const runs = Array.from({ length: 7 }, () => once(plugin, chunks, mode)).toSorted((a, b) => a.us - b.us)
    const { bytes, us } = runs[3]!
    console.log(`${plugin.padEnd(9)} ${mode.padEnd(7)} ${us.toFixed(2)} µs a row (best ${runs[0]!.us.toFixed(2)})${mode === "body" ? `, ${Math.round(bytes)} bytes each` : ""}`)
  }
}
