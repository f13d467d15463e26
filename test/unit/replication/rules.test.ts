/** The decisions of the replication connection, each a pure function. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { SourceError } from "../../../src/services/ChangeSource.ts"
import * as Lsn from "../../../src/domain/Lsn.ts"
import { Slabs } from "../../../src/domain/Slabs.ts"
import { isSynchronousStandby, publicationsOf } from "../../../src/layers/postgres/replication/Checks.ts"
import { isDead } from "../../../src/layers/postgres/replication/Liveness.ts"
import { startCommand } from "../../../src/layers/postgres/replication/pluginOptions.ts"
import { encodeStatus, SlotReader } from "../../../src/layers/postgres/replication/SlotReader.ts"
import { skipsPublication, statusIntervalMs } from "../../../src/layers/postgres/replication/SlotSource.ts"
import { sentMsOf } from "../../../src/layers/postgres/replication/SlotSourcePglr.ts"
import { fromCause, ServerError } from "../../../src/layers/postgres/replication/sourceErrors.ts"
import type { ConnectionTarget } from "../../../src/domain/PostgresUrl.ts"
import { eventually } from "../../support/eventually.ts"

describe("liveness", () => {
  const waiting = (replyMs: number | undefined, waitEvent: string | null = "WalSenderWaitForWAL") => ({ waitEvent, replyMs })
  it("a walsender that is gone is dead", () => assert.isTrue(isDead(undefined, 1_000)))
  it("one that has read what was sent is alive", () => assert.isFalse(isDead(waiting(1_000), 1_000)))
  for (const event of ["WalSenderMain", "WalSenderWriteData", "WalSenderWaitForWal", "WalSenderWaitForWAL"]) {
    it(`one that waits (${event}) and has not read it is dead`, () => assert.isTrue(isDead(waiting(999, event), 1_000)))
  }
  it("one that has not read anything yet, but should have, is dead", () => assert.isTrue(isDead(waiting(0), 1_000)))
  for (const event of [null, "WALRead", "ReorderBufferRead", "DataFileRead"]) {
    it(`one that works (${event}) is alive, whatever it has read`, () => assert.isFalse(isDead(waiting(0, event), 1_000)))
  }
  it("who may not know does not judge", () => assert.isFalse(isDead(waiting(undefined), 1_000)))
  it("before anything had time to arrive there is no verdict", () => assert.isFalse(isDead(waiting(0), undefined)))
})

describe("status updates", () => {
  it("go out at a third of the server's limit and of ours, at most every ten seconds", () => {
    assert.strictEqual(statusIntervalMs(60_000, 30_000), 10_000)
    assert.strictEqual(statusIntervalMs(3_000, 30_000), 1_000)
    assert.strictEqual(statusIntervalMs(0, 30_000), 10_000)
    assert.strictEqual(statusIntervalMs(60_000, 600), 200)
  })

  it("say one position three times, the time in µs since 2000, and whether they ask", () => {
    const body = encodeStatus(0x16_b374d848, 1_795_513_924_557, true)
    assert.strictEqual(body.length, 34)
    assert.deepStrictEqual([1, 9, 17].map((offset) => Lsn.read(body, offset)), [0x16_b374d848, 0x16_b374d848, 0x16_b374d848])
    assert.strictEqual(Lsn.read(body, 25), (1_795_513_924_557 - 946_684_800_000) * 1_000)
    assert.strictEqual(body[33], 1)
  })

  it("of pg-logical-replication: the time that the server makes of them is read back to the millisecond", () => {
    for (const sentMs of [1_795_513_924_557, 1_795_513_924_999, 1_800_000_000_000, 1_799_999_999_999]) {
      const now = sentMs - 946_080_000_000
      const high = Math.floor(now / 4_294_967.296)
      const replyUs = high * 2 ** 32 + Math.floor(now - high * 4_294_967.296) + 946_684_800_000_000
      assert.isAtLeast(sentMsOf(replyUs), sentMs)
      assert.isAtMost(sentMsOf(replyUs), sentMs + 2)
    }
  })
})

describe("SlotReader", () => {
  const make = (readAheadBytes = 10_000) => {
    const sent: Array<Lsn.Lsn> = []
    let resumed = 0
    const reader = new SlotReader({ sendStatus: (position) => void sent.push(position), resume: () => void resumed++ }, {
      confirmed: 100, readAheadBytes, silenceMs: 30_000, statusIntervalMs: 10_000
    })
    return { reader, sent, resumed: () => resumed }
  }

  it("says where the slot stands until it is told more, and never less", () => {
    const { reader, sent } = make()
    reader.keepalive(5_000, true)
    reader.acknowledge(50)
    reader.keepalive(5_000, true)
    reader.acknowledge(300)
    reader.acknowledge(200)
    reader.close()
    assert.deepStrictEqual(sent, [100, 100, 300])
  })

  it("asks for an answer after a silence, also when the machine's clock was set back meanwhile", async () => {
    const asked: Array<boolean> = []
    const wire = { sendStatus: (_: Lsn.Lsn, _ms: number, askReply: boolean) => void asked.push(askReply), resume: () => undefined }
    const reader = new SlotReader(wire, { confirmed: 100, readAheadBytes: 1_000, silenceMs: 40, statusIntervalMs: 10 })
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() - 3_600_000)
    await Effect.runPromise(eventually("a question", Effect.sync(() => asked.includes(true))))
    clock.mockRestore()
    reader.close()
  })

  it.effect("stops reading at its bound, and goes on when half of it was taken", () =>
    Effect.gen(function*() {
      const { reader, resumed } = make(300_000)
      const row = Buffer.alloc(100_000)
      for (let i = 0; i < 2; i++) {
        reader.push(i, row, 0, row.length)
        assert.isTrue(reader.batch(row.length))
      }
      reader.push(2, row, 0, row.length)
      assert.isFalse(reader.batch(row.length))
      assert.deepStrictEqual([reader.paused, resumed()], [true, 0])
      const { bytes } = yield* reader.read
      assert.deepStrictEqual([bytes, reader.paused, resumed()], [200_000, false, 1])
      reader.close()
    }))

  it.effect("releases the memory of a run when the next one is asked for, not before", () =>
    Effect.gen(function*() {
      const slabs = new Slabs(1_000_000, 4)
      const memory = [slabs.take(), slabs.take()]
      let current = memory[0]!
      const holds = new Map(memory.map((slab) => [slab, 0]))
      for (const slab of memory) {
        vi.spyOn(slab, "release").mockImplementation(() => void holds.set(slab, holds.get(slab)! - 1))
      }
      const reader = new SlotReader({
        sendStatus: () => undefined, resume: () => undefined,
        hold: () => {
          holds.set(current, holds.get(current)! + 1)
          return current
        }
      }, { confirmed: 100, readAheadBytes: 10_000_000, silenceMs: 30_000, statusIntervalMs: 10_000 })
      const push = (bytes: number) => reader.push(1, current.bytes, 0, bytes)
      const held = () => memory.map((slab) => holds.get(slab))
      push(100_000)
      push(100_000)
      push(10)
      current = memory[1]!
      push(200_000)
      push(10)
      assert.deepStrictEqual(held(), [2, 2])
      assert.strictEqual((yield* reader.read).frames.length, 2)
      assert.deepStrictEqual(held(), [2, 2])
      assert.strictEqual((yield* reader.read).frames.length, 2)
      assert.deepStrictEqual(held(), [1, 2])
      assert.strictEqual((yield* reader.read).frames.length, 1)
      assert.deepStrictEqual(held(), [0, 1])
      const next = yield* Effect.forkChild(reader.read, { startImmediately: true })
      assert.deepStrictEqual(held(), [0, 0])
      push(10)
      reader.batch(10)
      assert.strictEqual((yield* Fiber.join(next)).frames.length, 1)
      assert.deepStrictEqual(held(), [0, 1])
      reader.close()
    }))

  it.effect("hands out what was read before a failure, and acknowledges nothing after it", () =>
    Effect.gen(function*() {
      const { reader, sent } = make()
      reader.push(1, Buffer.alloc(10), 0, 10)
      reader.fail(new SourceError({ code: "ConnectionLost", permanent: false, summary: "", mend: "" }))
      reader.acknowledge(500)
      assert.strictEqual((yield* reader.read).frames.length, 1)
      assert.strictEqual((yield* Effect.flip(reader.read)).code, "ConnectionLost")
      reader.close()
      assert.isEmpty(sent)
    }))
})

describe("what is read", () => {
  const found = (...names: ReadonlyArray<string>) => names.map((name) => ({ name, allTables: name === "pgstream" }))
  it("is the publication for all tables, where there is one", () => assert.deepStrictEqual(publicationsOf(found("other", "pgstream", "pgstream_rest")), ["pgstream"]))
  it("is every publication of ours otherwise", () => assert.deepStrictEqual(publicationsOf(found("pgstreamer", "pgstream_rows", "pgstream_inserts")), ["pgstream_rows", "pgstream_inserts"]))
  it("has options by version and plugin", () => {
    const command = (plugin: "pgoutput" | "wal2json", serverVersion: number) => startCommand("s", 0x16_b374d848, { plugin, serverVersion, publications: ["pgstream", "a\"b'c"] })
    assert.strictEqual(command("pgoutput", 130_005), `START_REPLICATION SLOT "s" LOGICAL 16/B374D848 ("proto_version" '1', "publication_names" '"pgstream","a""b''c"')`)
    assert.include(command("pgoutput", 140_000), "\"messages\" 'true'")
    assert.notInclude(command("pgoutput", 150_000), "origin")
    assert.include(command("pgoutput", 160_000), "\"origin\" 'any'")
    assert.include(command("wal2json", 150_000), "\"format-version\" '2'")
  })
})

describe("synchronous_standby_names", () => {
  for (const setting of ["*", "FIRST 1 (*)", "ANY 2 (a, \"pgstream\", b)", "PGSTREAM", "a, pgstream"]) {
    it(`${setting} would make us one`, () => assert.isTrue(isSynchronousStandby(setting, "pgstream")))
  }
  for (const setting of ["", "a, b", "FIRST 2 (s1, s2)", "pgstream2"]) {
    it(`${JSON.stringify(setting)} would not`, () => assert.isFalse(isSynchronousStandby(setting, "pgstream")))
  }
})

describe("notices and errors", () => {
  it("a skipped publication is known by its routine", () => {
    assert.isTrue(skipsPublication({ code: "55000", routine: "LoadPublications", message: "übersprungen" }))
    assert.isFalse(skipsPublication({ code: "55000", routine: "Other", message: "skipped loading publication" }))
  })

  const target: ConnectionTarget = {
    hosts: [{ host: "h", port: 1 }], user: "u", password: undefined, database: "d", sslMode: "disable", sslRootCert: undefined, sslCert: undefined,
    sslKey: undefined, sslPassword: undefined, applicationName: undefined, options: undefined, connectTimeoutSeconds: 10, parameters: {}
  }
  for (const [code, named, permanent] of [
    ["57P03", "ConnectionLost", false], ["53300", "ConnectionLost", false], ["57P01", "ConnectionLost", false],
    ["28P01", "AuthenticationFailed", true], ["3D000", "DatabaseMissing", true], ["42501", "NoPrivilege", true]
  ] as const) {
    it(`SQLSTATE ${code} is ${named}`, () => {
      const error = fromCause(target, new ServerError({ code, message: "m" }))
      assert.deepStrictEqual([error.code, error.permanent], [named, permanent])
    })
  }
})
