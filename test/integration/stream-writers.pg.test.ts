/**
 * Writes of a process that was killed may commit long after its end. Here the old process's statements are real and held
 * up by real transactions of others, while a new process takes the stream over.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { randomUUID } from "node:crypto"
import * as CheckpointPg from "../../src/layers/postgres/store/CheckpointPg.ts"
import * as DeadDeliveriesPg from "../../src/layers/postgres/store/DeadDeliveriesPg.ts"
import * as DeliveryAdminPg from "../../src/layers/postgres/store/DeliveryAdminPg.ts"
import * as EndpointStatesPg from "../../src/layers/postgres/store/EndpointStatesPg.ts"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import { Checkpoint, CheckpointError, type CheckpointUpdate } from "../../src/services/Checkpoint.ts"
import { DeadDeliveries } from "../../src/services/DeadDeliveries.ts"
import { DeliveryAdmin, DeliveryAdminError } from "../../src/services/DeliveryAdmin.ts"
import { EndpointStates, EndpointStatesError } from "../../src/services/EndpointStates.ts"
import { SequenceRanges, SequenceRangesError } from "../../src/services/SequenceRanges.ts"
import { ParkedDeliveries, ParkedDeliveriesError, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { OpenSession } from "../support/sessions.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("stream_writers")
const endpointId = randomUUID()
let streams = 0
const newStream = () => ({ systemIdentifier: "1", slotName: `s${streams++}` })

const parked = (n: number): ParkedDelivery => ({
  endpointId, id: `id-${n}`, body: Buffer.from("{}"), keys: [], sequence: n, epoch: "", selectedBy: [], commitLsn: n, ordinal: 0,
  table: "public.t", kind: "I", attempts: 0, state: "waiting", dueAtMs: 0, retries: 0, lastError: undefined
})
const update = (position: number): CheckpointUpdate => ({
  position, counts: new Map([[endpointId, { count: position, epoch: "e" }]]), upserted: [], removed: [],
  shapes: { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
})

/** What one process has: layers of its own. */
const makeProcess = () => {
  const runtime = ManagedRuntime.make(Layer.mergeAll(
    CheckpointPg.layer, ParkedDeliveriesPg.layer, DeadDeliveriesPg.layer, SequenceRangesPg.layer, EndpointStatesPg.layer, DeliveryAdminPg.layer
  ).pipe(Layer.provide(SegmentsPg.layer), Layer.provide(migratedStore(database.url))))
  afterAll(() => runtime.dispose())
  return runtime
}
const [older, newer] = [makeProcess(), makeProcess()]
type Stream = ReturnType<typeof newStream>
const load = (process: typeof older, stream: Stream) => process.runPromise(Effect.flatMap(Checkpoint, (checkpoint) => checkpoint.load(stream, "v")))
const keys = (stream: Stream) =>
  newer.runPromise(Effect.flatMap(ParkedDeliveries, (store) => store.loadKeys(stream, undefined, 10))).then((rows) => rows.map(({ id }) => id))
const write = (stream: Stream, n: number) => older.runPromiseExit(Effect.flatMap(ParkedDeliveries, (store) => store.write(stream, [parked(n)])))
const waiting = (sql: string) => eventually(`it waits: ${sql}`, () =>
  database.psql(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${sql}%' AND pid <> pg_backend_pid()`).trim() === "1")

const isRefused = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  const value = error?._tag === "Some" ? error.value : undefined
  if (value instanceof ParkedDeliveriesError || value instanceof SequenceRangesError || value instanceof EndpointStatesError || value instanceof DeliveryAdminError) return value.takenOver === true
  return value instanceof CheckpointError && value.operation === "save"
}

describe("a stream that is taken over", () => {
  it("waits for a write of the process before that is under way, and knows then what it parked", async () => {
    const stream = newStream()
    await load(older, stream)
    const blocker = new OpenSession(database.name)
    // The same row, not committed: the INSERT has to wait for its end.
    await blocker.run(`BEGIN; INSERT INTO pgstream.webhook_deliveries (stream, endpoint_id, event_id, commit_lsn, ordinal, state, due_at,
      attempts, retries, sequence, table_name, kind, selected_by, keys, body)
      VALUES ('1/${stream.slotName}', '${endpointId}', 'id-1', '0/1', 0, 'waiting', now(), 0, 0, 1, '', 'I', '', '', '');`)
    const writing = write(stream, 1)
    await waiting("INSERT INTO pgstream.webhook_deliveries")
    let loaded = false
    const loading = load(newer, stream).then((state) => {
      loaded = true
      return state
    })
    await waiting("INSERT INTO pgstream.stream_writers")
    assert.isFalse(loaded)
    await blocker.run("ROLLBACK;")
    assert.isTrue(Exit.isSuccess(await writing))
    await loading
    assert.deepStrictEqual(await keys(stream), ["id-1"])
    await blocker.end()
  })

  it("refuses a write of the process before that begins after it, held up as it may have been", async () => {
    const stream = newStream()
    await load(older, stream)
    const blocker = new OpenSession(database.name)
    await blocker.run("BEGIN; LOCK TABLE pgstream.webhook_deliveries IN SHARE MODE;")
    const writing = write(stream, 1)
    await waiting("INSERT INTO pgstream.webhook_deliveries")
    await load(newer, stream)
    assert.deepStrictEqual(await keys(stream), [])
    await blocker.run("COMMIT;")
    assert.isTrue(isRefused(await writing))
    assert.deepStrictEqual(await keys(stream), [])
    await blocker.end()
  })

  it("refuses every kind of write of the process before, and takes its own", async () => {
    const stream = newStream()
    await load(older, stream)
    assert.isTrue(Exit.isSuccess(await write(stream, 1)))
    await load(newer, stream)
    const of = (process: typeof older) => {
      const store = (use: (store: ParkedDeliveries["Service"]) => Effect.Effect<unknown, unknown>) =>
        process.runPromiseExit(Effect.flatMap(ParkedDeliveries, use))
      return [
        () => store((deliveries) => deliveries.write(stream, [parked(2)])),
        () => store((deliveries) => deliveries.update(stream, [{ ...parked(1), state: "dead" }])),
        () => store((deliveries) => deliveries.remove(stream, endpointId, ["id-1"])),
        () => store((deliveries) => deliveries.end(stream, endpointId)),
        () => process.runPromiseExit(DeadDeliveries.use((dead) => dead.remove(stream, [{ endpointId, id: "id-1", epoch: "", sequence: 1 }]))),
        () => process.runPromiseExit(DeliveryAdmin.use((admin) => admin.revive(stream, endpointId, ["id-1"]))),
        () => process.runPromiseExit(DeliveryAdmin.use((admin) => admin.erase(stream, endpointId, ["id-1"]))),
        () => process.runPromiseExit(SequenceRanges.use((ranges) => ranges.add(stream, [{ endpointId, epoch: "e", state: "withdrawn", first: 1, last: 1 }]))),
        () => process.runPromiseExit(EndpointStates.use((states) => states.setFailing(stream, new Map([[endpointId, 1]])))),
        () => process.runPromiseExit(EndpointStates.use((states) => states.disable(stream, endpointId, "HTTP 410"))),
        () => process.runPromiseExit(EndpointStates.use((states) => states.suspend(stream, endpointId, "full"))),
        () => process.runPromiseExit(Effect.flatMap(Checkpoint, (checkpoint) => checkpoint.save(stream, update(9))))
      ]
    }
    const facts = "stream, endpoint_id, event_id, sequence, table_name, kind, attempt, at, took_ms, body"
    const values = `'1/${stream.slotName}', '${endpointId}', 'id-1', 1, 'public.t', 'I', 1, now(), 1, '{}'`
    database.psql(`INSERT INTO pgstream.webhook_attempts (${facts}, reason) VALUES (${values}, 'HTTP 500');
      INSERT INTO pgstream.webhook_successes (${facts}, slot) VALUES (${values}, 0)`)
    const keptBodies = () => database.psql(["attempts", "successes"].map((name) =>
      `SELECT count(body) FROM pgstream.webhook_${name} WHERE stream = '1/${stream.slotName}'`).join(" UNION ALL ")).trim()
    for (const run of of(older)) assert.isTrue(isRefused(await run()))
    assert.strictEqual(keptBodies(), "1\n1")
    assert.strictEqual(database.psql(`SELECT event_id || ' ' || state FROM pgstream.webhook_deliveries WHERE stream = '1/${stream.slotName}'`).trim(), "id-1 waiting")
    assert.strictEqual(database.psql(`SELECT position FROM pgstream.checkpoint WHERE stream = '1/${stream.slotName}'`).trim(), "0/0")
    assert.strictEqual(database.psql(`SELECT count(*) FROM pgstream.webhook_sequence_ranges WHERE stream = '1/${stream.slotName}'`).trim(), "0")
    assert.strictEqual(database.psql(`SELECT count(*) FROM pgstream.endpoint_streams WHERE stream = '1/${stream.slotName}' AND (failing_since IS NOT NULL OR disabled_reason IS NOT NULL OR suspended_reason IS NOT NULL)`).trim(), "0")
    for (const run of of(newer)) assert.isTrue(Exit.isSuccess(await run()))
    assert.strictEqual(keptBodies(), "0\n0")
    assert.deepStrictEqual(await keys(stream), [])
    assert.strictEqual(database.psql(`SELECT position FROM pgstream.checkpoint WHERE stream = '1/${stream.slotName}'`).trim(), "0/9")
  })

  it("is not held up by a client that went between two statements of a transaction for longer than 30 s", async () => {
    const stream = newStream()
    await load(older, stream)
    database.psql(`CREATE TABLE public.noted (timeout text);
      CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO public.noted VALUES (current_setting('idle_in_transaction_session_timeout')); RETURN NULL; END $$;
      CREATE TRIGGER note AFTER UPDATE ON pgstream.checkpoint FOR EACH ROW EXECUTE FUNCTION public.note();`)
    await older.runPromise(Effect.flatMap(Checkpoint, (checkpoint) => checkpoint.save(stream, update(2))))
    database.psql("DROP TRIGGER note ON pgstream.checkpoint")
    assert.strictEqual(database.psql("SELECT timeout FROM public.noted").trim(), "30s")
  })

  it("does not end the rows of an endpoint that a subscription still names", async () => {
    const stream = newStream()
    await load(older, stream)
    database.psql("INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://kept/')")
    const kept = database.psql("SELECT endpoint_id FROM pgstream.webhook_subscriptions WHERE url = 'http://kept/'").trim()
    const end = Effect.flatMap(ParkedDeliveries, (store) => store.end(stream, kept))
    await older.runPromise(Effect.flatMap(ParkedDeliveries, (store) => store.write(stream, [{ ...parked(1), endpointId: kept }])))
    assert.strictEqual(await older.runPromise(end), 0)
    database.psql("DELETE FROM pgstream.webhook_subscriptions")
    assert.strictEqual(await older.runPromise(end), 1)
  })
})
