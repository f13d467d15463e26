import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RemovedRowsPg from "../../src/layers/postgres/store/RemovedRowsPg.ts"
import { RemovedRows } from "../../src/services/RemovedRows.ts"
import { StoreSettings } from "../../src/services/Settings.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { OpenSession } from "../support/sessions.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("removed_rows")
const settings = Layer.succeed(StoreSettings, { url: Redacted.make(database.url), inSource: true, refreshIntervalMs: 60_000 })
const layer = RemovedRowsPg.layer.pipe(Layer.provide(Layer.mergeAll(migratedStore(database.url), settings)))
const gone = (ids: ReadonlyArray<string>, xid: number) =>
  Effect.runPromise(Effect.flatMap(Effect.service(RemovedRows), (rows) => rows.gone(ids, xid)).pipe(Effect.provide(layer)))
const MISSING = "00000000-0000-0000-0000-000000000001"

/** A row of a transaction that has not ended: its id, and the transaction's. */
const openRow = async (session: OpenSession, url: string): Promise<readonly [string, number]> => {
  const [id = "", xid = ""] = (await session.run(
    `BEGIN; INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('${url}') RETURNING id || ' ' || (pg_current_xact_id()::text::bigint % 4294967296);`
  )).split(" ")
  return [id, Number(xid)]
}

describe("which subscriptions are gone", () => {
  it("are those without a row", async () => {
    assert.deepStrictEqual(await gone([], 0), [])
    const id = database.psql("INSERT INTO pgstream.webhook_subscriptions (url) VALUES ('http://a/') RETURNING id").trim()
    assert.deepStrictEqual(await gone([id, MISSING], 0), [MISSING])
    assert.deepStrictEqual(await gone([id], 0), [])
  })

  it("is known of a row only when the transaction that wrote it has ended", async () => {
    for (const [end, expected] of [["COMMIT", false], ["ROLLBACK", true]] as const) {
      const session = new OpenSession(database.name)
      const [id, xid] = await openRow(session, `http://${end}/`)
      let answer: ReadonlyArray<string> | undefined
      const asking = gone([id], xid).then((ids) => (answer = ids))
      await eventually("it looked several times", () =>
        Number(database.psql(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND query LIKE '%transactionid::text =%' AND pid <> pg_backend_pid() AND backend_start < clock_timestamp() - interval '200 ms'`).trim()) > 0)
      assert.isUndefined(answer)
      await session.run(`${end};`)
      await asking
      assert.deepStrictEqual(answer, expected ? [id] : [])
      await session.end()
    }
  })

  it("does not wait for long transactions of others", async () => {
    const session = new OpenSession(database.name)
    await openRow(session, "http://long/")
    assert.deepStrictEqual(await gone([MISSING], 0), [MISSING])
    assert.deepStrictEqual(await gone([MISSING], 1), [MISSING])
    await session.run("ROLLBACK;")
    await session.end()
  })
})
