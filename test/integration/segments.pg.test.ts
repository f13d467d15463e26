/** Segments in Postgres: the contract, tables made and dropped under way, other processes, and what goes wrong. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import type { SegmentEvent } from "../../src/domain/Segment.ts"
import type { StreamId } from "../../src/domain/StreamId.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as CheckpointPg from "../../src/layers/postgres/store/CheckpointPg.ts"
import { defaultLimits, type SegmentLimits } from "../../src/layers/postgres/store/SegmentLog.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { Checkpoint } from "../../src/services/Checkpoint.ts"
import { Segments, SegmentsError } from "../../src/services/Segments.ts"
import { SecretSettings } from "../../src/services/Settings.ts"
import { suite } from "../suites/SegmentsSuite.ts"
import { startServer } from "../support/PostgresServer.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { OpenSession } from "../support/sessions.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("segments")
const plainStore = migratedStore(database.url)
const keyOf = (n: number) => Layer.succeed(SecretSettings, { key: Redacted.make(new Uint8Array(32).fill(n)), previous: [] })

suite("postgres", SegmentsPg.layer.pipe(Layer.provide(plainStore)))
suite("postgres, three segments a table, encrypted",
  SegmentsPg.layerOf({ ...defaultLimits, tableSegments: 3 }).pipe(Layer.provide(Layer.mergeAll(plainStore, keyOf(1)))))

let streams = 0
const newStream = (): StreamId => ({ systemIdentifier: "1", slotName: `seg${streams++}` })
const event = (n: number, endpointId: string): SegmentEvent => ({
  id: `${n.toString(16).padStart(16, "0")}-1-0`, body: Buffer.from(`{"Data":"a secret value ${n}"}`), commitLsn: n, ordinal: 1, table: "public.t", kind: "I",
  targets: [{ endpointId, epoch: "e", sequence: n, selectedBy: [], keys: [] }]
})

type Use = (segments: Segments["Service"]) => Effect.Effect<unknown, unknown>
/** What one process has: layers of its own. */
const makeProcess = (options: { readonly limits?: Partial<SegmentLimits>; readonly key?: number; readonly url?: string } = {}) => {
  const store = Layer.mergeAll(migratedStore(options.url ?? database.url), options.key === undefined ? Layer.empty : keyOf(options.key))
  const layers = Layer.mergeAll(CheckpointPg.layer, SegmentsPg.layerOf({ ...defaultLimits, ...options.limits }))
  const runtime = ManagedRuntime.make(layers.pipe(Layer.provide(store)))
  afterAll(() => runtime.dispose())
  const run = <A, E>(use: (segments: Segments["Service"]) => Effect.Effect<A, E>) => runtime.runPromise(Effect.flatMap(Segments, use))
  return {
    run,
    dispose: () => runtime.dispose(),
    exit: (use: Use) => runtime.runPromiseExit(Effect.flatMap(Segments, use)),
    load: (stream: StreamId) => runtime.runPromise(Effect.flatMap(Checkpoint, (checkpoint) => checkpoint.load(stream, "v"))),
    checkpoint: <A, E>(use: (checkpoint: Checkpoint["Service"]) => Effect.Effect<A, E>) => runtime.runPromise(Effect.flatMap(Checkpoint, use)),
    reads: async (stream: StreamId, endpoint: string) => {
      const lsns: Array<number> = []
      for (let from = { segment: 0, index: 0 }; ;) {
        const segment = await run((segments) => segments.read(stream, endpoint, from))
        if (segment === undefined) return lsns
        lsns.push(...segment.events.map(({ commitLsn }) => commitLsn))
        from = { segment: segment.number + 1, index: 0 }
      }
    }
  }
}
type Process = ReturnType<typeof makeProcess>

const tablesOf = (stream: StreamId, on = database) =>
  on.psql(`SELECT number FROM pgstream.webhook_segment_tables WHERE stream = '1/${stream.slotName}' AND NOT dropped ORDER BY 1`).trim().split("\n").filter((line) => line !== "")
const exist = (numbers: ReadonlyArray<string>, on = database) =>
  numbers.map((number) => on.psql(`SELECT to_regclass('pgstream.webhook_segments_${number}') IS NOT NULL`).trim()).join("")
const fill = async (process: Process, stream: StreamId, endpoint: string, from: number, to: number) => {
  for (let n = from; n <= to; n++) await process.run((segments) => segments.append(stream, [event(n, endpoint)]))
}
const isTakenOver = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  return error?._tag === "Some" && error.value instanceof SegmentsError && error.value.takenOver === true
}

describe("tables of segments", () => {
  it("are made as they fill, read across, dropped when passed; numbers go on", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const first = makeProcess({ limits: { tableSegments: 3 } })
    await first.run((segments) => segments.open(stream, 0))
    await fill(first, stream, endpoint, 1, 8)
    const tables = tablesOf(stream)
    assert.strictEqual(tables.length, 3)
    assert.deepStrictEqual(await first.reads(stream, endpoint), [1, 2, 3, 4, 5, 6, 7, 8])
    await first.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 5, index: 0 }]])))
    assert.strictEqual(exist(tables), "ftt")
    await first.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 9, index: 0 }]])))
    assert.strictEqual(exist(tables), "fft")
    const second = makeProcess({ limits: { tableSegments: 3, idleMs: 0 } })
    assert.deepStrictEqual(await second.run((segments) => segments.open(stream, 99)), [])
    assert.strictEqual(exist(tables), "fff")
    assert.strictEqual(await second.run((segments) => segments.append(stream, [event(9, endpoint)])), 9)
    assert.deepStrictEqual(await second.reads(stream, endpoint), [9])
  })

  it("that somebody reads (pg_dump) hold nobody up, and go later; they are not tried at each move of a cursor", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess({ limits: { tableSegments: 2, trimEveryMs: 2_000 } })
    await service.run((segments) => segments.open(stream, 0))
    await fill(service, stream, endpoint, 1, 5)
    const tables = tablesOf(stream)
    const dump = new OpenSession(database.name)
    await dump.run(`BEGIN; LOCK TABLE pgstream.webhook_segment_tables, ${tables.map((number) => `pgstream.webhook_segments_${number}`).join(", ")} IN ACCESS SHARE MODE;`)
    await fill(service, stream, endpoint, 6, 12)
    await service.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 12, index: 0 }]])))
    assert.strictEqual(exist(tables), "ttt")
    database.psql(`CREATE SEQUENCE tries; ALTER FUNCTION pgstream.drop_segment_table(bigint) RENAME TO drop_kept;
      CREATE FUNCTION pgstream.drop_segment_table(which bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT pgstream.drop_kept(which) FROM nextval('tries') $$`)
    const began = Date.now()
    for (let i = 0; i < 40; i++) await service.run((segments) => segments.pass(stream, new Map()))
    const tries = database.psql(`SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries`).trim()
    const rounds = Math.ceil((Date.now() - began) / 2_000)
    assert.isAtMost(Number(tries), 5 * rounds, "five tables, once a round")
    database.psql(`DROP FUNCTION pgstream.drop_segment_table(bigint); ALTER FUNCTION pgstream.drop_kept(bigint) RENAME TO drop_segment_table; DROP SEQUENCE tries`)
    const rest = await service.run((segments) => segments.read(stream, endpoint, { segment: 12, index: 0 }))
    assert.deepStrictEqual(rest?.events.map(({ commitLsn }) => commitLsn), [12])
    await dump.run("COMMIT;")
    await dump.end()
    await eventually("they are gone", () => exist(tables) === "fff")
    assert.strictEqual(tablesOf(stream).length, 1)
  })

  it("of which nothing is waited for go by themselves", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess({ limits: { idleMs: 200, trimEveryMs: 20 } })
    await service.run((segments) => segments.open(stream, 0))
    await fill(service, stream, endpoint, 1, 2)
    const tables = tablesOf(stream)
    await service.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 2, index: 1 }]])))
    await eventually("the table is gone", () => exist(tables) === "f")
    assert.strictEqual(await service.run((segments) => segments.append(stream, [event(3, endpoint)])), 3)
  })

  it("of two streams are apart, and one that cannot be made any more leaves the full one in use", async () => {
    const [stream, other, endpoint] = [newStream(), newStream(), randomUUID()]
    const service = makeProcess({ limits: { tableSegments: 2 } })
    for (const each of [stream, other]) {
      await service.run((segments) => segments.open(each, 0))
      await fill(service, each, endpoint, 1, 2)
    }
    database.psql(`ALTER FUNCTION pgstream.make_segment_table(text, bigint) RENAME TO kept`)
    await fill(service, stream, endpoint, 3, 4)
    database.psql(`ALTER FUNCTION pgstream.kept(text, bigint) RENAME TO make_segment_table`)
    await fill(service, stream, endpoint, 5, 5)
    assert.strictEqual(tablesOf(stream).length, 2)
    assert.strictEqual(tablesOf(other).length, 1)
    assert.deepStrictEqual(await service.reads(stream, endpoint), [1, 2, 3, 4, 5])
    assert.deepStrictEqual(await service.reads(other, endpoint), [1, 2])
  })

  it("stay out of the schema log, and belong to a role that may only execute", async () => {
    const own = testDatabase("segments_log")
    const [stream, endpoint] = [newStream(), randomUUID()]
    const role = `${own.name}_role`
    await Effect.runPromise(Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(own.url), "test"), (sql) =>
      Effect.andThen(MigrationsSource.run(sql), MigrationsSource.installTriggers(sql)))))
    await Effect.runPromise(Effect.provide(Sql.StoreSql.use(() => Effect.void), migratedStore(own.url)))
    own.psql(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA pgstream TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgstream TO ${role};
      GRANT EXECUTE ON FUNCTION pgstream.make_segment_table(text, bigint), pgstream.drop_segment_table(bigint) TO ${role}`)
    try {
      const service = makeProcess({ limits: { tableSegments: 1, idleMs: 0 }, url: own.url.replace("postgres:postgres@", `${role}@`) })
      await service.run((segments) => segments.open(stream, 0))
      await fill(service, stream, endpoint, 1, 3)
      const tables = tablesOf(stream, own)
      await service.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 9, index: 0 }]])))
      assert.strictEqual(exist(tables, own), "fff")
      assert.strictEqual(own.psql(`SELECT count(*) FROM pgstream.ddl`).trim(), "0")
      own.psql(`CREATE TABLE public.noted(id int)`)
      assert.strictEqual(own.psql(`SELECT count(*) FROM pgstream.ddl`).trim(), "1")
    } finally {
      own.psql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})

describe("the process that writes", () => {
  it("is refused every write when another took over; that one goes on at the cursor", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const [older, newer] = [makeProcess(), makeProcess()]
    await older.load(stream)
    await older.run((segments) => segments.open(stream, 0))
    await fill(older, stream, endpoint, 1, 3)
    await older.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 2, index: 0 }]])))
    await newer.load(stream)
    const backlog = await newer.run((segments) => segments.open(stream, 99))
    assert.deepStrictEqual(backlog.map(({ cursor, events }) => [cursor, events]), [[{ segment: 2, index: 0 }, 2]])
    const writes: ReadonlyArray<Use> = [
      (segments) => segments.append(stream, [event(4, endpoint)]),
      (segments) => segments.pass(stream, new Map([[endpoint, { segment: 3, index: 0 }]])),
      (segments) => segments.pass(stream, new Map([[endpoint, { segment: 9, index: 0 }]])),
      (segments) => segments.end(stream, endpoint),
      (segments) => segments.open(stream, 2)
    ]
    for (const write of writes) assert.isTrue(isTakenOver(await older.exit(write)))
    assert.deepStrictEqual(await newer.reads(stream, endpoint), [1, 2, 3])
    assert.strictEqual(database.psql(`SELECT segment, index FROM pgstream.webhook_segment_cursors WHERE endpoint_id = '${endpoint}'`).trim(), "2|0")
    assert.strictEqual(await newer.run((segments) => segments.append(stream, [event(4, endpoint)])), 4)
  })

  it("cuts nothing that was appended before the slot was made anew", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess()
    const state = await service.load(stream)
    await service.run((segments) => segments.open(stream, 0))
    await fill(service, stream, endpoint, 100, 102)
    await service.checkpoint((checkpoint) => checkpoint.reset({ ...state, position: 0 }))
    await service.load(stream)
    assert.deepStrictEqual((await service.run((segments) => segments.open(stream, 5))).map(({ events }) => events), [3])
    await fill(service, stream, endpoint, 5, 7)
    assert.deepStrictEqual((await service.run((segments) => segments.open(stream, 6))).map(({ events }) => events), [4])
    assert.deepStrictEqual(await service.reads(stream, endpoint), [100, 101, 102, 5])
  })

  it("goes on when the server crashes under it: what was answered is there, and everything once", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const server = await startServer({ conf: ["fsync = on"] })
    const service = makeProcess({ limits: { tableSegments: 40 }, url: server.url() })
    try {
      await service.run((segments) => segments.open(stream, 0))
      let answered = 0
      const appending = (async () => {
        for (let n = 1; n <= 300; n++) {
          await service.run((segments) => segments.append(stream, [event(n, endpoint)]))
          answered = n
        }
      })()
      for (const after of [40, 150]) {
        await eventually(`${after} are appended`, () => answered >= after)
        await server.crash()
        await server.start()
      }
      await appending
      const later = makeProcess({ url: server.url() })
      assert.deepStrictEqual((await later.run((segments) => segments.open(stream, 999))).map(({ events }) => events), [300])
      assert.deepStrictEqual(await later.reads(stream, endpoint), Array.from({ length: 300 }, (_, i) => i + 1))
      await later.dispose()
    } finally {
      await service.dispose()
      await server.stop()
    }
  }, 60_000)

  it("encrypts what waits; without the key it waits on, and no error shows it", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess({ key: 7 })
    await service.run((segments) => segments.open(stream, 0))
    await fill(service, stream, endpoint, 1, 1)
    const [table = ""] = tablesOf(stream)
    assert.strictEqual(database.psql(`SELECT substring(data FROM 1 FOR 5) = '\\x0070677331' FROM pgstream.webhook_segments_${table}`).trim(), "t")
    const exit = await makeProcess({ key: 8 }).exit((segments) => segments.read(stream, endpoint, { segment: 0, index: 0 }))
    assert.isTrue(Exit.isFailure(exit))
    const shown = inspect(exit, { depth: 20, getters: true })
    assert.include(shown, "SecretKeyUnknown")
    assert.notInclude(shown, "secret value")
    assert.deepStrictEqual(await service.reads(stream, endpoint), [1])
  })

  it("says which segment is damaged, whoever reads it", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess()
    await service.run((segments) => segments.open(stream, 0))
    await service.run((segments) => segments.append(stream, [event(1, endpoint), event(2, endpoint)]))
    const [table = ""] = tablesOf(stream)
    database.psql(`UPDATE pgstream.webhook_segments_${table} SET data = substring(data FROM 1 FOR octet_length(data) - 3)`)
    const readers: ReadonlyArray<(segments: Segments["Service"]) => Effect.Effect<unknown, SegmentsError>> = [
      (segments) => segments.read(stream, endpoint, { segment: 0, index: 0 }),
      (segments) => segments.look(stream, { endpoint, from: undefined, newestFirst: true, position: undefined }),
      (segments) => segments.erase(stream, endpoint, () => true, () => Effect.void),
      (segments) => segments.erasePassed(stream, () => true),
      (segments) => segments.open(stream, 2)
    ]
    for (const reader of readers) {
      const exit = await service.exit(reader)
      const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
      const cause = error?._tag === "Some" && error.value instanceof SegmentsError ? error.value.cause : undefined
      assert.include(cause instanceof Error ? cause.message : "", `Segment 1 of pgstream.webhook_segments_${table} cannot be read`)
    }
  })

  it("goes on behind a damaged one that is given up as its message says", async () => {
    const [stream, endpoint] = [newStream(), randomUUID()]
    const service = makeProcess()
    await service.run((segments) => segments.open(stream, 0))
    await fill(service, stream, endpoint, 1, 3)
    await service.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 2, index: 0 }]])))
    const [table = ""] = tablesOf(stream)
    const damage = (data: string) => database.psql(`UPDATE pgstream.webhook_segments_${table} SET data = ${data} WHERE number = 2`)
    const messageOf = async () => {
      const exit = await service.exit((segments) => segments.read(stream, endpoint, { segment: 2, index: 0 }))
      const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
      return error?._tag === "Some" && error.value instanceof SegmentsError && error.value.cause instanceof Error ? error.value.cause.message : ""
    }
    const plain = (hex: string) => `'\\x01${hex}'::bytea`
    damage(plain("07000000"))
    assert.include(await messageOf(), "its form is 7, and this program knows 1. Run the newer pgstream that wrote it. If none did: restore that row from a backup")
    damage(plain("01ffff"))
    const message = await messageOf()
    assert.include(message, "its bytes were changed. Restore that row from a backup; or stop pgstream, give up what is in the row, and start again:")
    assert.include(message, "(SegmentUnreadable)")
    database.psql(/DELETE FROM pgstream\.webhook_segments_\d+ WHERE number = 2/.exec(message)![0])
    const next = makeProcess()
    const backlogs = await next.run((segments) => segments.open(stream, 99))
    assert.deepStrictEqual(backlogs.map(({ endpointId, events }) => [endpointId, events]), [[endpoint, 1]])
    const rest = await next.run((segments) => segments.read(stream, endpoint, { segment: 2, index: 0 }))
    assert.deepStrictEqual([rest?.number, rest?.events.map(({ commitLsn }) => commitLsn)], [3, [3]])
    await next.run((segments) => segments.pass(stream, new Map([[endpoint, { segment: 4, index: 0 }]])))
    assert.deepStrictEqual(await next.reads(stream, endpoint), [])
  })
})
