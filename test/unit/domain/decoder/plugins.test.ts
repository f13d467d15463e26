import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Change } from "../../../../src/domain/Change.ts"
import * as EventId from "../../../../src/domain/EventId.ts"
import type { Frame } from "../../../../src/domain/Frame.ts"
import { bodyOf, changesOf, decode, framesOf, inOneBuffer, majors, nameOf, stableBody } from "./fixtures.ts"

const short = (text: string) => text.replaceAll(/(?:0123456789){300}/g, "BIG")

/** Reviewed by hand against golden/SCENARIOS.md: ordinal and body of each change of test/fixtures/capture.sql, pgoutput, Postgres 15. */
const expected = readFileSync(join(import.meta.dirname, "../../../fixtures/expected.txt"), "utf8").split("\n").filter((line) => line !== "")

const lineOf = (change: Change) => `${change.ordinal} ${short(stableBody(change))}`
const isMessage = (line: string) => line.includes("\"action\":\"M\"")
const withoutOrdinal = (line: string) => line.slice(line.indexOf(" ") + 1)

describe("pgoutput, captured bytes", () => {
  for (const major of majors("pgoutput")) {
    it(`gives the expected changes on Postgres ${major}`, () => {
      const items = decode("pgoutput", inOneBuffer(framesOf(major, "pgoutput")))
      assert.deepStrictEqual(items.filter((item) => item._tag === "Undecodable"), [])
      const lines = changesOf(items).map(lineOf)
      if (major < 14) {
        // No messages before 14, so nothing to count either.
        assert.deepStrictEqual(lines.map(withoutOrdinal), expected.filter((line) => !isMessage(line)).map(withoutOrdinal))
      } else if (major >= 18) {
        const generated = "\"name\":\"w\",\"type\":\"integer\",\"value\":2}"
        assert.deepStrictEqual(lines, expected.map((line) => line.replace(generated, `${generated},{"id":"","name":"double","type":"integer","value":4}`)))
      } else {
        assert.deepStrictEqual(lines, expected)
      }
    })
  }

  it("has fixtures of the installed major at least", () => assert.include(majors("pgoutput"), 15))

  it("takes each transaction's end from its Commit message", () => {
    const frames = framesOf(15, "pgoutput")
    const commits = decode("pgoutput", frames).filter((item) => item._tag === "Commit")
    const sent = frames.filter((frame) => frame.bytes[0] === 0x43)
    assert.strictEqual(commits.length, sent.length)
    // XLogData of a Commit starts at the end LSN, too.
    assert.deepStrictEqual(commits.map((commit) => commit.endLsn), sent.map((frame) => frame.lsn))
    for (const commit of commits) assert.isAbove(commit.endLsn, commit.transaction.commitLsn)
  })
})

/** Where the two may differ, and why: docs/compatibility.md has these as rules. */
const same = (pgoutput: string, wal2json: string): boolean => {
  const known = wal2json
    // A domain has no name in pgoutput's Type message.
    .replace("\"type\":\"price\"", "\"type\":\"numeric\"")
    // Stored generated columns before 18.
    .replace(",{\"id\":\"\",\"name\":\"double\",\"type\":\"integer\",\"value\":4}", "")
    // wal2json ends a message at its first zero byte.
    .replace("\"content_base64\":\"/w==\"", "\"content_base64\":\"/wD+\"")
  return pgoutput === known
}

describe("both plugins on the same WAL", () => {
  const pgoutput = decode("pgoutput", inOneBuffer(framesOf(15, "pgoutput")))
  const wal2json = decode("wal2json", inOneBuffer(framesOf(15, "wal2json")))

  it("decode without a loss", () => {
    assert.deepStrictEqual(wal2json.filter((item) => item._tag === "Undecodable"), [])
    assert.strictEqual(changesOf(wal2json).length, expected.length)
  })

  it("give byte-identical bodies, but for what pgoutput cannot say", () => {
    const [a, b] = [changesOf(pgoutput), changesOf(wal2json)]
    for (let i = 0; i < expected.length; i++) {
      const [x, y] = [bodyOf(a[i]!), bodyOf(b[i]!)]
      if (!same(x, y)) assert.strictEqual(x, y)
    }
  })

  it("give the same ids, ordinals, positions and commits", () => {
    const idOf = (change: Change) => `${EventId.of(change)} ${change.lsn} ${nameOf(change)} ${change.transaction.timestamp} ${change.transaction.xid}`
    assert.deepStrictEqual(changesOf(wal2json).map(idOf), changesOf(pgoutput).map(idOf))
    const commits = (items: typeof pgoutput) => items.flatMap((item) => (item._tag === "Commit" && seen(item.transaction.commitLsn) ? [[item.transaction.commitLsn, item.endLsn]] : []))
    // From 15 pgoutput sends no empty transactions; wal2json does.
    const withChanges = new Set(pgoutput.flatMap((item) => (item._tag === "Commit" ? [item.transaction.commitLsn] : [])))
    const seen = (lsn: number) => withChanges.has(lsn)
    assert.deepStrictEqual(commits(wal2json), commits(pgoutput))
  })
})

describe("what is ours", () => {
  for (const plugin of ["pgoutput", "wal2json"] as const) {
    it(`is counted and dropped, but for three tables (${plugin})`, () => {
      const changes = changesOf(decode(plugin, framesOf(15, plugin)))
      const own = changes.filter((change) => change.relation?.schema === "pgstream")
      assert.deepStrictEqual(own.map((change) => [nameOf(change), change.ordinal]), [
        ["pgstream.ddl", 1], ["pgstream.webhook_subscriptions", 3], ["pgstream.marks", 4]
      ])
      // INSERT, UPDATE, DELETE and TRUNCATE of pgstream.checkpoint took 0, 2, 5 and 6.
      assert.deepStrictEqual(changes.filter((change) => change.transaction === own[0]!.transaction).map((change) => change.ordinal), [1, 3, 4, 7, 8])
      assert.deepStrictEqual(changes.filter((change) => change.kind === "M").map((change) => [change.message!.prefix, change.ordinal, change.message!.transactional]),
        [["app", -1, false], ["app", 1, true]])
    })
  }
})

describe("segments that come back on the slot, since the store is in the source", () => {
  const lsnOf = (n: number) => Buffer.from(n.toString(16).padStart(16, "0"), "hex")
  const frame = (bytes: Buffer): Frame => ({ keepalive: false, lsn: 16, bytes, start: 0, end: bytes.length })
  const data = "\\\\x02".padEnd(400_000, "0f")
  const row = (schema: string, table: string, value: string) =>
    `{"action":"I","xid":1,"timestamp":"2026-11-24 08:57:26+00","lsn":"0/10","schema":"${schema}","table":"${table}","columns":[{"name":"data","type":"bytea","value":"${value}"}]}`
  const wal2json = [
    "{\"action\":\"B\",\"xid\":1,\"timestamp\":\"2026-11-24 08:57:26+00\",\"lsn\":\"0/10\",\"nextlsn\":\"0/20\"}",
    row("pgstream", "webhook_segments_17", data), row("pgstream", "webhook_deliveries", data),
    row("public", "webhook_segments_17", "1"), "{\"action\":\"C\",\"xid\":1,\"timestamp\":\"2026-11-24 08:57:26+00\",\"lsn\":\"0/10\",\"nextlsn\":\"0/20\"}"
  ].map((text) => frame(Buffer.from(text)))
  const relation = (oid: number, schema: string, table: string) => Buffer.concat([
    Buffer.from("R"), lsnOf(oid).subarray(4), Buffer.from(`${schema}\0${table}\0d`), Buffer.from([0, 1, 0]), Buffer.from("data\0"), lsnOf(17).subarray(4), Buffer.alloc(4, 255)
  ])
  const insert = (oid: number, value: string) => Buffer.concat([
    Buffer.from("I"), lsnOf(oid).subarray(4), Buffer.from("N"), Buffer.from([0, 1]), Buffer.from("t"), lsnOf(value.length).subarray(4), Buffer.from(value)
  ])
  const pgoutput = [
    Buffer.concat([Buffer.from("B"), lsnOf(16), lsnOf(1), lsnOf(1).subarray(4)]),
    relation(1, "pgstream", "webhook_segments_17"), insert(1, data), relation(2, "pgstream", "webhook_deliveries"), insert(2, data),
    relation(3, "public", "webhook_segments_17"), insert(3, "1"), Buffer.concat([Buffer.from("C"), Buffer.from([0]), lsnOf(16), lsnOf(32), lsnOf(1)])
  ].map(frame)

  for (const [plugin, frames] of [["pgoutput", pgoutput], ["wal2json", wal2json]] as const) {
    it(`are dropped by their schema, whatever their number, and count (${plugin})`, () => {
      const items = decode(plugin, inOneBuffer(frames), 1 << 20)
      assert.deepStrictEqual(items.map(({ _tag }) => _tag), ["Change", "Commit"])
      assert.deepStrictEqual(changesOf(items).map((change) => [nameOf(change), change.ordinal]), [["public.webhook_segments_17", 2]])
    })
    it(`larger than the limit of a frame, they are no dead letter (${plugin})`, () => {
      const tags = decode(plugin, inOneBuffer(frames), 100_000).map(({ _tag }) => _tag)
      assert.deepStrictEqual(tags, ["Change", "Commit"])
    })
  }
})

describe("laziness", () => {
  for (const plugin of ["pgoutput", "wal2json"] as const) {
    it(`splits a row once (${plugin})`, () => {
      const changes = changesOf(decode(plugin, framesOf(15, plugin)))
      for (const change of changes) {
        assert.strictEqual(change.newRow(), change.newRow())
        assert.strictEqual(change.oldRow(), change.oldRow())
        assert.strictEqual(change.newRow() !== undefined, change.kind === "I" || change.kind === "U")
      }
    })
    it(`keeps the description's object while a table does not change (${plugin})`, () => {
      const relations = (name: string) => changesOf(decode(plugin, framesOf(15, plugin)))
        .filter((change) => change.relation?.table === name && change.kind === "I").map((change) => change.relation)
      const [first, second, third, fourth] = relations("priced")
      assert.strictEqual(first, second)
      assert.strictEqual(second, third)
      assert.notStrictEqual(third, fourth)
      const keyless = relations("keyless")
      assert.strictEqual(keyless.length, 3)
      for (const relation of keyless) assert.strictEqual(relation, keyless[0])
    })
  }
})
