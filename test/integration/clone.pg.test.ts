/** A clone must not call production: what belongs to another or a lost stream starts paused, until it is adopted. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, inject } from "vitest"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import { Segments } from "../../src/services/Segments.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"
import { check, init, status } from "../support/setup.ts"

type Psql = (sql: string) => string

const PRODUCTION = "http://user:secret@production.example/hook"

/** One event more, in a segment: of the same table, after those of the rows. */
const inSegment = (url: string, psql: Psql): Promise<unknown> => {
  const [stream = "", endpointId = "", oid = "0"] = psql(`SELECT c.stream, e.id, 'orders'::regclass::oid FROM pgstream.checkpoint c, pgstream.webhook_endpoints e`).trim().split("|")
  const [systemIdentifier = "", slotName = ""] = stream.split("/")
  const keys = [{ leaf: Number(oid), root: Number(oid), definition: 11, value: 3 }]
  const event = {
    id: "e3", body: Buffer.from("{}"), commitLsn: 0xff * 2 ** 32, ordinal: 100, table: "public.orders", kind: "U",
    targets: [{ endpointId, epoch: "e", sequence: 3, selectedBy: [], keys }]
  }
  return Effect.runPromise(Effect.flatMap(Segments, (segments) => segments.append({ systemIdentifier, slotName }, [event])).pipe(
    Effect.provide(SegmentsPg.layer.pipe(Layer.provide(migratedStore(url))))
  ))
}

/** `init`, a subscription that the stream has taken up, tables, parked deliveries, and an event in a segment. */
const production = async (url: string, psql: Psql, slot: string): Promise<void> => {
  psql(`CREATE TABLE orders(id int PRIMARY KEY, v text); CREATE TABLE keyless(v int)`)
  await init(url, slot)
  psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${PRODUCTION}', '', '');
    INSERT INTO pgstream.endpoint_streams(stream, endpoint_id, count) SELECT c.stream, e.id, 7 FROM pgstream.checkpoint c, pgstream.webhook_endpoints e;
    INSERT INTO pgstream.table_ids(id, oid) VALUES ('cv9al8qhi0j00i9chq01', 'orders'::regclass::oid) ON CONFLICT (oid) DO UPDATE SET id = excluded.id;
    INSERT INTO pgstream.schema_log(id, version, schema_name, schema) VALUES ('cv9al8qhi0j00i9chq02', 5, 'public',
      jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('oid', 'orders'::regclass::oid::text, 'name', 'orders', 'pgstream_id', 'cv9al8qhi0j00i9chq01'))));
    INSERT INTO pgstream.webhook_deliveries(stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at, attempts, retries, sequence, table_name, kind, selected_by, keys, body)
      SELECT c.stream, e.id, 'e' || n, 'FF/0', 10 - n, 'waiting', now(), 1, 0, n, 'public.orders', 'U', '', 'orders'::regclass::oid || ',' || 'orders'::regclass::oid || ',11,' || n, ''
        FROM pgstream.checkpoint c, pgstream.webhook_endpoints e, generate_series(1, 2) n`)
  await inSegment(url, psql)
}

const dump = (port: number, database: string): string =>
  execFileSync(join(inject("postgresBin"), "pg_dump"), ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 })

const restore = (port: number, database: string, sql: string): void => {
  execFileSync(join(inject("postgresBin"), "psql"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database, "-f", "-"],
    { input: sql, stdio: ["pipe", "ignore", "pipe"] })
}

const paused = (psql: Psql, slot: string): string =>
  psql(`SELECT string_agg(split_part(e.url, '/', 3) || ' ' || x.paused, ', ' ORDER BY e.url) FROM pgstream.endpoint_streams x JOIN pgstream.webhook_endpoints e ON e.id = x.endpoint_id
    WHERE x.stream LIKE '%/${slot}'`).trim()

const notes = async (url: string, slot: string) => (await status(url, slot)).notes.join("\n")
const codes = async (url: string, slot: string) => (await status(url, slot)).findings.map((finding) => finding.code)

/** What `--adopt` has to leave behind in `slot`'s stream. */
const assertAdopted = async (url: string, psql: Psql, slot: string, resumed: string) => {
  const report = await init(url, slot, { adopt: true })
  assert.match(report.notes.join("\n"), /Adopted: \d+ endpoints, 3 parked deliveries of \d+\//)
  assert.strictEqual(paused(psql, slot), resumed)
  assert.strictEqual(
    psql(`SELECT split_part(stream, '/', 2), commit_lsn, string_agg(event_id, ' ' ORDER BY ordinal), bool_and(split_part(keys, ',', 1) = 'orders'::regclass::oid::text AND split_part(keys, ',', 2) = 'orders'::regclass::oid::text)
      FROM pgstream.webhook_deliveries GROUP BY 1, 2`).trim(),
    `${slot}|0/0|e2 e1 e3|t`)
  assert.strictEqual(psql(`SELECT count(*) FROM pgstream.webhook_segment_cursors`).trim(), "0")
  assert.strictEqual(psql(`SELECT count(DISTINCT stream) FROM pgstream.checkpoint`).trim(), "1")
  assert.deepStrictEqual(await codes(url, slot), ["DeliveriesParked"])
  assert.notMatch((await init(url, slot)).notes.join("\n"), /paused/)
}

const assertIdsByName = (psql: Psql) => {
  assert.strictEqual(psql(`SELECT id FROM pgstream.table_ids WHERE oid = 'orders'::regclass::oid`).trim(), "cv9al8qhi0j00i9chq01")
  assert.strictEqual(psql(`SELECT string_agg(i.name, ' ') FROM pgstream.identities i WHERE i.oid = 'keyless'::regclass`).trim(), "keyless")
}

describe("a restored dump", () => {
  const source = testDatabase("clone_source")
  const same = testDatabase("clone_same")
  const down = testDatabase("clone_down")
  const early = testDatabase("clone_early")
  const servers: Array<PostgresServer> = []
  afterAll(() => Promise.all(servers.map((server) => server.stop())))

  it("in another database of the server starts paused; a row of its own does not", async () => {
    const slot = `${source.name}_slot`
    const cloneSlot = `${same.name}_slot`
    await production(source.url, source.psql, slot)
    restore(same.port, same.name, dump(source.port, source.name))
    same.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://staging.example/hook', '', '')`)
    const report = await init(same.url, cloneSlot)
    assert.isTrue(report.slotCreated)
    assert.match(report.notes.join("\n"), /made again by name.*1 endpoints start paused: http:\/\/production\.example\/hook\..*init --adopt/s)
    assert.notInclude(report.notes.join("\n"), "secret")
    assert.strictEqual(paused(same.psql, cloneSlot), "user:secret@production.example true")
    assertIdsByName(same.psql)
    assert.deepStrictEqual(await codes(same.url, cloneSlot), ["EndpointsPaused"])
    await check(same.url, cloneSlot)
    assert.match(await notes(source.url, slot), /Endpoints that are behind, and what waits for them: 1 for http:\/\/production\.example\/hook since 20/)
    assert.notMatch((await init(same.url, cloneSlot)).notes.join("\n"), /start paused/)
    assert.strictEqual(paused(same.psql, cloneSlot), "user:secret@production.example true")
    await assertAdopted(same.url, same.psql, cloneSlot, "user:secret@production.example false")
    assert.strictEqual(paused(source.psql, slot), "user:secret@production.example false")
  })

  it("starts paused also what no stream had taken up when it was dumped; for a second slot of the copy, too", async () => {
    await init(down.url, `${down.name}_slot`)
    down.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${PRODUCTION}', '', '')`)
    assert.strictEqual(down.psql(`SELECT count(*) FROM pgstream.checkpoint_definitions`).trim(), "0")
    restore(early.port, early.name, dump(down.port, down.name))
    early.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://staging.example/hook', '', '')`)
    for (const slot of [`${early.name}_a`, `${early.name}_b`]) {
      assert.match((await init(early.url, slot)).notes.join("\n"), /1 endpoints start paused: http:\/\/production\.example/)
      assert.strictEqual(paused(early.psql, slot), "user:secret@production.example true")
    }
    for (const slot of [`${early.name}_a`, `${early.name}_b`]) {
      await init(early.url, slot, { adopt: true })
      assert.strictEqual(paused(early.psql, slot), "user:secret@production.example false")
    }
    assert.notMatch((await init(early.url, `${early.name}_c`)).notes.join("\n"), /paused/)
  })

  it("on another server starts paused, also with the slot's name", async () => {
    const slot = `${source.name}_slot`
    const server = await startServer()
    servers.push(server)
    server.psql("CREATE DATABASE restored")
    restore(server.port, "restored", dump(source.port, source.name))
    const psql: Psql = (sql) => server.psql(sql, "restored")
    const report = await init(server.url("restored"), slot)
    assert.match(report.notes.join("\n"), /1 endpoints start paused/)
    assert.strictEqual(
      psql(`SELECT string_agg(x.paused::text, ' ' ORDER BY x.paused) FROM pgstream.endpoint_streams x`).trim(), "false true")
    assertIdsByName(psql)
    const report2 = await init(server.url("restored"), slot, { adopt: true })
    assert.match(report2.notes.join("\n"), /Adopted: 1 endpoints, 3 parked deliveries/)
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.endpoint_streams WHERE paused`).trim(), "0")
  })
})

describe("a copied data directory", () => {
  const servers: Array<PostgresServer> = []
  afterAll(() => Promise.all(servers.map((server) => server.stop())))

  it("under another address starts paused until it is adopted; the original goes on", async () => {
    const original = await startServer()
    servers.push(original)
    const slot = "pgstream_postgres_slot"
    await production(original.url(), (sql) => original.psql(sql), slot)
    const copy = await startServer()
    servers.push(copy)
    await Promise.all([original.crash(), copy.crash()])
    const conf = readFileSync(join(copy.dataDir, "postgresql.auto.conf"))
    rmSync(copy.dataDir, { recursive: true })
    execFileSync("cp", ["-a", original.dataDir, copy.dataDir])
    writeFileSync(join(copy.dataDir, "postgresql.auto.conf"), conf)
    rmSync(join(copy.dataDir, "postmaster.pid"), { force: true })
    await Promise.all([original.start(), copy.start()])

    await check(original.url(), slot)
    assert.strictEqual(paused((sql) => original.psql(sql), slot), "user:secret@production.example false")

    const psql: Psql = (sql) => copy.psql(sql)
    assert.includeMembers(await codes(copy.url(), slot), ["CopySuspected"])
    await check(copy.url(), slot)
    assert.strictEqual(paused(psql, slot), "user:secret@production.example true")
    assert.match(psql(`SELECT paused_reason FROM pgstream.endpoint_streams`), new RegExp(`^Is this a copy\\? .*127\\.0\\.0\\.1:${original.port} before, now from 127\\.0\\.0\\.1:${copy.port}`))
    await check(copy.url(), slot)
    assert.strictEqual(paused(psql, slot), "user:secret@production.example true")
    assert.includeMembers(await codes(copy.url(), slot), ["EndpointsPaused"])
    await init(copy.url(), slot, { adopt: true })
    assert.strictEqual(paused(psql, slot), "user:secret@production.example false")
    await check(copy.url(), slot)
    assert.strictEqual(paused(psql, slot), "user:secret@production.example false")
  })
})

describe("streams of one database", () => {
  const two = testDatabase("clone_two")
  const lost = testDatabase("clone_lost")
  const elsewhere = testDatabase("clone_store")
  const first = testDatabase("clone_first")
  const second = testDatabase("clone_second")

  it("share their endpoints: a second slot does not pause them", async () => {
    await production(two.url, two.psql, `${two.name}_a`)
    const report = await init(two.url, `${two.name}_b`)
    assert.notMatch(report.notes.join("\n"), /paused/)
    assert.strictEqual(paused(two.psql, `${two.name}_b`), "")
    assert.notInclude(await codes(two.url, `${two.name}_b`), "EndpointsPaused")
  })

  it("start paused when their slot was lost, and keep what is parked in its order when adopted", async () => {
    const slot = `${lost.name}_slot`
    await production(lost.url, lost.psql, slot)
    lost.psql(`SELECT pg_drop_replication_slot('${slot}')`)
    assert.match((await init(lost.url, slot)).notes.join("\n"), /1 endpoints start paused.*whose slot is lost/)
    assert.strictEqual(paused(lost.psql, slot), "user:secret@production.example true")
    lost.psql(`SELECT pg_drop_replication_slot('${slot}')`)
    await init(lost.url, slot, { adopt: true })
    assert.strictEqual(paused(lost.psql, slot), "user:secret@production.example false")
    assert.strictEqual(lost.psql(`SELECT string_agg(event_id || ' ' || commit_lsn, ', ' ORDER BY ordinal) FROM pgstream.webhook_deliveries`).trim(), "e2 0/0, e1 0/0, e3 0/0")
  })

  it("with one store elsewhere do not call each other's endpoints", async () => {
    await init(first.url, `${first.name}_slot`, {}, elsewhere.url)
    elsewhere.psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('${PRODUCTION}', '', '');
      INSERT INTO pgstream.endpoint_streams(stream, endpoint_id) SELECT c.stream, e.id FROM pgstream.checkpoint c, pgstream.webhook_endpoints e`)
    assert.strictEqual(first.psql(`SELECT count(*) FROM pg_class WHERE relname = 'webhook_subscriptions'`).trim(), "0")
    const report = await init(second.url, `${second.name}_slot`, {}, elsewhere.url)
    assert.match(report.notes.join("\n"), /1 endpoints start paused/)
    assert.strictEqual(paused(elsewhere.psql, `${second.name}_slot`), "user:secret@production.example true")
    assert.strictEqual(paused(elsewhere.psql, `${first.name}_slot`), "user:secret@production.example false")
    assert.strictEqual(elsewhere.psql(`SELECT count(*) FROM pgstream.checkpoint_definitions`).trim(), "1")
    await check(second.url, `${second.name}_slot`, elsewhere.url)
    assert.deepStrictEqual((await status(second.url, `${second.name}_slot`, elsewhere.url)).findings.map((finding) => finding.code), ["EndpointsPaused"])
  })
})
