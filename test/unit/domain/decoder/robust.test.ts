import { assert, describe, it } from "@effect/vitest"
import type { Item } from "../../../../src/domain/Chunk.ts"
import * as Decoder from "../../../../src/domain/Decoder.ts"
import type { Frame } from "../../../../src/domain/Frame.ts"
import { bodyOf, changesOf, decode, framesOf, inOneBuffer } from "./fixtures.ts"

/** Park and Miller's generator: the same numbers for a seed in every process. */
const randomOf = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

/** Decodes and looks at everything: rows, bodies. */
const exhaust = (items: ReadonlyArray<Item>) => {
  for (const item of items) if (item._tag === "Change") JSON.parse(bodyOf(item))
}

for (const plugin of ["pgoutput", "wal2json"] as const) {
  describe(`bad bytes (${plugin})`, () => {
    const frames = inOneBuffer(framesOf(15, plugin))

    it("never throws, and never reads its neighbour, whatever frame is cut where", () => {
      let cut = 0
      for (const [index, frame] of frames.entries()) {
        const steps = Math.min(40, frame.end - frame.start)
        for (let i = 0; i < steps; i++) {
          const end = frame.start + Math.floor((i * (frame.end - frame.start)) / steps)
          const items = decode(plugin, [...frames.slice(Math.max(0, index - 12), index), { ...frame, end }])
          exhaust(items)
          const last = items.at(-1)
          // wal2json's C says nothing that is not known already; its end is the frame's position.
          if (last?._tag === "Undecodable" && last.lsn === frame.lsn) cut++
        }
      }
      assert.isAbove(cut, frames.length * 5)
    })

    it("never throws on flipped bytes (2,000 seeds)", () => {
      let bad = 0
      for (let seed = 1; seed <= 2_000; seed++) {
        const random = randomOf(seed)
        const from = random(frames.length - 12)
        const some = frames.slice(from, from + 12).map((frame) => ({ ...frame, bytes: Buffer.from(frame.bytes.subarray(frame.start, frame.end)), start: 0, end: frame.end - frame.start }))
        for (let i = 0; i <= random(4); i++) {
          const victim = some[random(some.length)]!
          victim.bytes[random(victim.bytes.length)] = random(256)
        }
        const items = decode(plugin, some)
        // A flipped byte inside a text may make it invalid UTF-8, never invalid JSON: except in a number of pgoutput, whose text is Postgres' own.
        for (const item of items) if (item._tag === "Change") bodyOf(item)
        bad += items.filter((item) => item._tag === "Undecodable").length
      }
      assert.isAbove(bad, 200)
    })

    it("says what and where, without a value of the row", () => {
      const random = randomOf(7)
      for (let i = 0; i < 500; i++) {
        const index = random(frames.length)
        const frame = frames[index]!
        const end = frame.start + random(frame.end - frame.start)
        const items = decode(plugin, [...frames.slice(Math.max(0, index - 12), index), { ...frame, end }])
        for (const item of items) if (item._tag === "Undecodable") assert.notMatch(item.reason, /0123456789|happy|deadbeef|hello/)
      }
    })

    it("goes on behind a change that cannot be read, and counts it", () => {
      const at = frames.findIndex((_, i) => isRow(frames[i]!) && isRow(frames[i + 1]!))
      const rest = [...frames]
      const victim = frames[at]!
      rest[at] = { ...victim, end: victim.end - 1 }
      const whole = decode(plugin, frames)
      const broken = decode(plugin, rest)
      assert.strictEqual(broken.length, whole.length)
      const bad = broken.findIndex((item) => item._tag === "Undecodable")
      const item = broken[bad]!
      const was = whole[bad]!
      assert.isTrue(item._tag === "Undecodable" && was._tag === "Change" && item.ordinal === was.ordinal && item.lsn === was.lsn && item.table === `${was.relation!.schema}.${was.relation!.table}`)
      assert.deepStrictEqual(changesOf(broken.slice(bad + 1)).map(bodyOf), changesOf(whole.slice(bad + 1)).map(bodyOf))
    })

    it("hands on a change over the limit as its place, and goes on", () => {
      const items = decode(plugin, frames, 2_000)
      const large = items.filter((item) => item._tag === "Undecodable")
      assert.isAtLeast(large.length, 2)
      for (const item of large) {
        assert.match(item.reason, /bytes, over the limit of 2000/)
        assert.match(item.table ?? "", /^public\.(toasted|kinds)$/)
      }
      assert.strictEqual(items.length, decode(plugin, frames).length)
    })

    it("hands on a keepalive as the server's WAL end", () => {
      const out: Array<Item> = []
      Decoder.make(plugin, { maxFrameBytes: 1 }).push({ keepalive: true, lsn: 99, bytes: Buffer.alloc(0), start: 0, end: 0 }, out)
      assert.deepStrictEqual(out, [{ _tag: "Keepalive", walEnd: 99 }])
    })

    it("refuses bytes behind a change's end", () => {
      for (const [index, frame] of frames.entries()) {
        if (!isRow(frame)) continue
        const bytes = Buffer.concat([frame.bytes.subarray(frame.start, frame.end), Buffer.from("}")])
        const items = decode(plugin, [...frames.slice(0, index), { ...frame, bytes, start: 0, end: bytes.length }])
        const last = items.at(-1)
        // A table of ours that is dropped is not looked at any closer.
        if (last?._tag !== "Undecodable") assert.notStrictEqual(last?._tag === "Change" && last.lsn, frame.lsn)
      }
    })

    it("refuses a row outside of a transaction", () => {
      const row = frames.find(isRow)!
      const described = frames.filter((frame) => frame.bytes[frame.start] === 0x52)
      const [item] = decode(plugin, plugin === "pgoutput" ? [...described, row] : [row])
      assert.isTrue(item?._tag === "Undecodable" && item.ordinal === -1 && item.transaction.commitLsn === row.lsn)
    })
  })
}

const isRow = (frame: Frame | undefined): boolean => {
  if (frame === undefined) return false
  const text = frame.bytes.toString("latin1", frame.start, Math.min(frame.end, frame.start + 13))
  return text.startsWith("{") ? /^\{"action":"[IUD]/.test(text) : /^[IUD]/.test(text)
}

describe("wal2json's invalid JSON", () => {
  const begin = "{\"action\":\"B\",\"xid\":1,\"timestamp\":\"2026-11-24 08:57:26+00\",\"lsn\":\"0/10\",\"nextlsn\":\"0/20\"}"
  const frameOf = (text: string): Frame => ({ keepalive: false, lsn: 16, bytes: Buffer.from(text), start: 0, end: Buffer.byteLength(text) })
  const typeOf = (type: string): string | undefined => {
    const record = (n: number) => `{"action":"I","xid":1,"timestamp":"2026-11-24 08:57:26+00","lsn":"0/10","schema":"public","table":"t","columns":[{"name":"a","type":${type},"value":"x"},{"name":"b","type":"integer","value":${n}}]}`
    const changes = changesOf(decode("wal2json", [frameOf(begin), frameOf(record(1)), frameOf(record(2))]))
    assert.strictEqual(changes.length, 2)
    assert.include(bodyOf(changes[1]!), "\"value\":2}")
    return changes[0]?.relation?.columns[0]?.typeName
  }
  it("is survived for each type name that wal2json does not escape", () => {
    assert.strictEqual(typeOf("\"Sx\".plain"), "\"Sx\".plain")
    assert.strictEqual(typeOf("\"Sx\".\"Q\""), "\"Sx\".\"Q\"")
    assert.strictEqual(typeOf("\"Role\""), "Role")
    assert.strictEqual(typeOf("\"we\"\"ird\""), "we\"ird")
    assert.strictEqual(typeOf("\"back\\slash\""), "back\\slash")
    assert.strictEqual(typeOf("\"\\\"Role\\\"[]\""), "\"Role\"[]")
  })

  it("is read by its values where a type only looks like a number's", () => {
    // CREATE TYPE "integer" AS ENUM ('x'): its quotes are lost, its values are not.
    const record = (value: string) => `{"action":"I","xid":1,"lsn":"0/10","schema":"public","table":"t","columns":[{"name":"a","type":"integer","value":${value}}]}`
    const changes = changesOf(decode("wal2json", [begin, record("null"), record("\"x\""), record("7"), record("null")].map(frameOf)))
    assert.deepStrictEqual(changes.map((change) => /"value":([^}]*)/.exec(bodyOf(change))?.[1]), ["null", "\"x\"", "7", "null"])
  })
})
