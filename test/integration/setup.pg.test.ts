import { assert, describe, it } from "@effect/vitest"
import { inject } from "vitest"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import { eventually, psqlOn, testDatabase } from "../support/database.ts"
import { startSession } from "../support/sessions.ts"
import { acknowledgeBeyond, check, checkFails, destroy, init, initFails, status } from "../support/setup.ts"

const withWal2json = inject("postgresHasWal2json")
const slotOf = (name: string) => `${name}_slot`

describe("init, status, check and destroy", () => {
  const plain = testDatabase("setup_plain")
  const wal2json = testDatabase("setup_w2j")
  const two = testDatabase("setup_two")

  it("makes everything, twice the same, and takes everything away", async () => {
    const { url, name, psql } = plain
    const slot = slotOf(name)
    psql(`CREATE TABLE keyed(id int PRIMARY KEY, v text DEFAULT 'x'); CREATE TABLE keyless(v int); CREATE SCHEMA app; CREATE TABLE app.things(id int PRIMARY KEY)`)
    const before = await status(url, slot)
    assert.deepStrictEqual(
      before.findings.map((finding) => [finding.area, finding.part, finding.code, finding.summary]),
      [
        ["init", "schema", "SchemaMissing", "pgstream schema does not exist in the configured postgres database"],
        ["init", "migration", "SchemaMissing", "pgstream migrations table does not exist in the configured postgres database"],
        ["init", "slot", "SlotMissing", `replication slot ${slot} does not exist in the configured database`]
      ])
    assert.strictEqual((await checkFails(url, slot)).code, "SchemaMissing")

    assert.deepStrictEqual(await init(url, slot), { slotCreated: true, plugin: "pgoutput", notes: [] })
    const after = await status(url, slot)
    assert.deepStrictEqual(after, {
      schemaExists: true, schemaLogExists: true, migrationVersion: MigrationsSource.latestVersion, migrationDirty: false,
      slotName: slot, slotPlugin: "pgoutput", slotDatabase: name, reachable: true, findings: [], notes: []
    })
    await check(url, slot)
    assert.strictEqual(psql(`SELECT relname, relreplident FROM pg_class WHERE relname IN ('keyed', 'keyless') ORDER BY 1`), "keyed|d\nkeyless|f\n")
    assert.strictEqual(psql(`SELECT puballtables FROM pg_publication WHERE pubname = 'pgstream'`), "t\n")
    assert.strictEqual(
      psql(`SELECT s.shape ->> 'schema', s.shape ->> 'name', s.shape ->> 'fullIsOurs', length(s.shape ->> 'tableId') FROM pgstream.checkpoint_shapes s ORDER BY 1, 2`),
      "app|things||\npublic|keyed||\npublic|keyless|d|\n")
    assert.strictEqual(psql(`SELECT position, addresses, database FROM pgstream.checkpoint`), `0/0|["127.0.0.1:${plain.port}"]|${name}\n`)
    psql(`UPDATE keyless SET v = 1; CREATE TABLE later(v int); UPDATE later SET v = 1`)
    assert.strictEqual(psql(`SELECT count(DISTINCT xid::text) > 1 FROM pg_logical_slot_peek_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', 'pgstream')`), "t\n")

    const confirmed = psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`)
    assert.deepStrictEqual(await init(url, slot), { slotCreated: false, plugin: "pgoutput", notes: [] })
    assert.strictEqual(psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`), confirmed)

    const report = await destroy(url, slot)
    assert.isTrue(report.slotExisted)
    assert.strictEqual(
      psql(`SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'), (SELECT count(*) FROM pg_event_trigger),
        (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()),
        (SELECT string_agg(relname::text || relreplident::text, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('keyed', 'keyless', 'later'))`),
      "0|0|0|0|keyedd keylessd laterd\n")

    const again = await destroy(url, slot)
    assert.isFalse(again.slotExisted)
    assert.match(again.notes[0] ?? "", /was not there/)
  })

  it.skipIf(!withWal2json)("keeps the plugin of a slot that is there, and says that a flag has no effect", async () => {
    const { url, name, psql } = wal2json
    const slot = slotOf(name)
    psql(`SELECT pg_create_logical_replication_slot('${slot}', 'wal2json')`)
    const report = await init(url, slot, { plugin: "pgoutput" })
    assert.deepStrictEqual([report.slotCreated, report.plugin], [false, "wal2json"])
    assert.match(report.notes.join("\n"), /uses wal2json and keeps it/)
    assert.strictEqual(psql(`SELECT count(*) FROM pg_publication`), "0\n")
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.checkpoint`), "1\n")
    await destroy(url, slot)
  })

  it("leaves what another stream of the database uses, and goes with the last", async () => {
    const { url, name, psql } = two
    psql(`CREATE TABLE keyless(v int)`)
    await init(url, slotOf(name))
    await init(url, `${name}_b`, withWal2json ? { plugin: "wal2json" } : {})
    psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://127.0.0.1:1/x', '', '')`)
    const first = await destroy(url, slotOf(name))
    assert.match(first.notes.join("\n"), new RegExp(`stay: ${name}_b uses them`))
    assert.strictEqual(
      psql(`SELECT (SELECT string_agg(stream, ' ') FROM pgstream.checkpoint) ~ '/${name}_b$', (SELECT count(*) FROM pg_publication) = ${withWal2json ? 0 : 1},
        (SELECT count(*) FROM pg_event_trigger), (SELECT relreplident FROM pg_class WHERE relname = 'keyless'), (SELECT count(*) FROM pgstream.webhook_subscriptions)`),
      "t|t|2|f|1\n")
    await destroy(url, `${name}_b`)
    assert.strictEqual(psql(`SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'`), "0\n")
    assert.strictEqual(psql(`SELECT relreplident FROM pg_class WHERE relname = 'keyless'`), "d\n")
  })
})

describe("the state at which a stream begins", () => {
  const lagging = testDatabase("setup_lagging")

  it("has the ids that tables were given, also those that a stream before has not come to yet", async () => {
    const { url, name, psql } = lagging
    await init(url, `${name}_first`)
    psql(`CREATE TABLE dropped(v int)`)
    psql(`DROP TABLE dropped`)
    psql(`CREATE TABLE made(id int PRIMARY KEY)`)
    const given = psql(`SELECT d.new_ids ->> 'made'::regclass::oid::text FROM pgstream.ddl d WHERE d.new_ids ? 'made'::regclass::oid::text`).trim()
    assert.match(given, /^\w{20}$/)
    assert.strictEqual(psql(`SELECT count(*) FROM pgstream.table_ids`).trim(), "0")
    await init(url, `${name}_second`)
    assert.strictEqual(psql(`SELECT shape ->> 'tableId' FROM pgstream.checkpoint_shapes WHERE stream LIKE '%/${name}_second' AND shape ->> 'name' = 'made'`).trim(), given)
    await destroy(url, `${name}_second`)
    await destroy(url, `${name}_first`)
  })
  const race = testDatabase("setup_race")

  it.skipIf(!withWal2json)("is the slot's own snapshot: each definition is stored with it or comes in the stream, never both or neither", async () => {
    const { url, name, psql } = race
    await init(url, `${name}_first`)
    const writer = startSession(name, `
      DO $$ BEGIN FOR n IN 1..100000 LOOP
        EXIT WHEN (SELECT count(*) FROM pg_publication WHERE pubname = 'enough') > 0;
        INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://127.0.0.1:9/', 's', 't' || n); COMMIT;
      END LOOP; END $$`)
    await eventually("the writer writes", () => psql(`SELECT count(*) > 0 FROM pgstream.webhook_subscriptions`).trim() === "t")
    await init(url, `${name}_second`, { plugin: "wal2json" })
    psql(`CREATE PUBLICATION enough`)
    const ended = await writer
    assert.isTrue(ended.ok, ended.messages)
    const rows = psql(`
      WITH stored AS (SELECT id::text FROM pgstream.checkpoint_definitions WHERE stream LIKE '%/${name}_second'),
        streamed AS (SELECT c ->> 'value' AS id FROM pg_logical_slot_peek_changes('${name}_second', NULL, NULL, 'format-version', '2') m,
          LATERAL jsonb_array_elements(m.data::jsonb -> 'columns') c
          WHERE m.data::jsonb ->> 'action' = 'I' AND m.data::jsonb ->> 'table' = 'webhook_subscriptions' AND c ->> 'name' = 'id')
      SELECT (SELECT count(*) > 0 FROM stored), (SELECT count(*) > 0 FROM streamed), count(*) FILTER (WHERE s.id IS NULL AND d.id IS NULL), count(*) FILTER (WHERE s.id IS NOT NULL AND d.id IS NOT NULL)
        FROM pgstream.webhook_subscriptions w LEFT JOIN stored s ON s.id = w.id::text LEFT JOIN streamed d ON d.id = w.id::text`)
    assert.strictEqual(rows, "t|t|0|0\n")
  })
})

describe("slots that are not as they should be", () => {
  const mine = testDatabase("setup_slots")
  const other = testDatabase("setup_other")

  it("refuses what belongs to somebody else, and changes nothing", async () => {
    const { url, name, psql } = mine
    const nothing = () => assert.strictEqual(psql(`SELECT count(*) FROM pg_namespace WHERE nspname = 'pgstream'`), "0\n")
    psqlOn(other.name, `SELECT pg_create_logical_replication_slot('${name}_o', 'pgoutput')`)
    const otherDatabase = await initFails(url, `${name}_o`)
    assert.deepStrictEqual([otherDatabase.code, otherDatabase.exitCode], ["SlotOfOtherDatabase", 4])
    assert.include(otherDatabase.summary, other.name)
    nothing()
    psql(`SELECT pg_create_physical_replication_slot('${name}_p')`)
    assert.strictEqual((await initFails(url, `${name}_p`)).code, "SlotNotLogical")
    psql(`SELECT pg_drop_replication_slot('${name}_p')`)
    psql(`SELECT pg_create_logical_replication_slot('${name}_t', 'test_decoding')`)
    assert.strictEqual((await initFails(url, `${name}_t`)).code, "PluginUnknown")
    assert.strictEqual((await initFails(url, "Bad-Slot")).code, "BadSlotName")
    nothing()
    assert.include((await status(url, `${name}_o`)).findings.map((finding) => finding.code), "SlotOfOtherDatabase")
    const report = await destroy(url, `${name}_o`)
    assert.isFalse(report.slotExisted)
    assert.strictEqual(psql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = '${name}_o'`), "1\n")
  })

  it.skipIf(!withWal2json)("makes a slot again that stands beyond the end of the WAL, and names the stretch", async () => {
    const { url, name, psql } = mine
    const slot = slotOf(name)
    await init(url, slot, { plugin: "wal2json" })
    psql(`CREATE TABLE IF NOT EXISTS r(id int PRIMARY KEY)`)
    await acknowledgeBeyond(url, slot)
    const report = await status(url, slot)
    assert.deepStrictEqual(report.findings.map((finding) => finding.code), ["PositionAheadOfWal"])
    assert.strictEqual((await checkFails(url, slot)).code, "PositionAheadOfWal")
    const again = await init(url, slot)
    assert.deepStrictEqual([again.slotCreated, again.plugin], [true, "wal2json"])
    assert.match(again.notes.join("\n"), /Made again: .*PositionAheadOfWal.*its position was .*, the stream begins at .*: what was committed/)
    psql(`INSERT INTO r VALUES (1)`)
    assert.strictEqual(psql(`SELECT count(*) > 0 FROM pg_logical_slot_peek_changes('${slot}', NULL, NULL)`), "t\n")
    await destroy(url, slot)
  })

  it("makes a pgoutput slot again whose publication is gone", async () => {
    const { url, name, psql } = mine
    const slot = slotOf(name)
    await init(url, slot)
    psql(`DROP PUBLICATION pgstream`)
    assert.deepStrictEqual((await status(url, slot)).findings.map((finding) => finding.code), ["PublicationMissing"])
    const again = await init(url, slot)
    assert.isTrue(again.slotCreated)
    assert.match(again.notes.join("\n"), /PublicationMissing/)
    assert.deepStrictEqual((await status(url, slot)).findings, [])
    await destroy(url, slot)
  })
})

