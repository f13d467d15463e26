/** Whose stream the source is: who did not learn it at first learns it later, and says what was in the way. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as CopyRequestsPg from "../../src/layers/postgres/copy/CopyRequestsPg.ts"
import * as MigrationsSource from "../../src/layers/postgres/schema/MigrationsSource.ts"
import * as TableSnapshotPg from "../../src/layers/postgres/snapshot/TableSnapshotPg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { CopyRequests } from "../../src/services/CopyRequests.ts"
import { SourceSettings, StoreSettings } from "../../src/services/Settings.ts"
import { TableSnapshot } from "../../src/services/TableSnapshot.ts"
import { testDatabase } from "../support/database.ts"
import { settings } from "../support/slots.ts"

const database = testDatabase("sourcestream")
const source = Layer.effect(
  Sql.SourceSql,
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(database.url), "source stream test", 2)
    yield* MigrationsSource.run(sql)
    return sql
  })
)
const layer = Layer.mergeAll(CopyRequestsPg.layer, TableSnapshotPg.layer).pipe(Layer.provide([
  source,
  Layer.succeed(SourceSettings, settings(database.url, "s")),
  Layer.succeed(StoreSettings, { url: Redacted.make(database.url), inSource: true, refreshIntervalMs: 60_000 })
]))

/** Of this database alone: as if the role may not call it. */
const hide = () => database.psql("ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_hidden")
const show = () => database.psql("ALTER FUNCTION pg_catalog.pg_control_hidden() RENAME TO pg_control_system")

it.live("a first question that fails is asked again", () =>
  Effect.gen(function*() {
    const [requests, snapshot] = [yield* CopyRequests, yield* TableSnapshot]
    hide()
    assert.strictEqual((yield* Effect.flip(requests.list))._tag, "CopyRequestsError")
    const refused = yield* Effect.flip(snapshot.stream)
    assert.strictEqual(refused.kind, "refused")
    assert.include(refused.message, "SQLSTATE 42883")
    show()
    assert.deepStrictEqual(yield* requests.list, [])
    const stream = yield* snapshot.stream
    assert.deepStrictEqual([stream.slotName, stream.systemIdentifier], ["s", database.psql("SELECT system_identifier FROM pg_control_system()").trim()])
    hide()
    assert.deepStrictEqual([yield* requests.list, yield* snapshot.stream], [[], stream])
    show()
  }).pipe(Effect.provide(layer)))
