import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import * as CheckpointPg from "../../src/layers/postgres/store/CheckpointPg.ts"
import { StoreSql } from "../../src/layers/postgres/Sql.ts"
import { Checkpoint } from "../../src/services/Checkpoint.ts"
import { suite } from "../suites/CheckpointSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("checkpoint")
const store = migratedStore(database.url)

suite("postgres", CheckpointPg.layer.pipe(Layer.provide(store)))

it.layer(CheckpointPg.layer.pipe(Layer.provideMerge(store)), { excludeTestServices: true })("Checkpoint in Postgres", (it) => {
  it.effect("counts of many endpoints are one statement; what did not change is not written", () =>
    Effect.gen(function*() {
      const checkpoint = yield* Checkpoint
      const sql = yield* StoreSql
      const stream = { systemIdentifier: "1", slotName: "statements" }
      const counts = new Map(Array.from({ length: 500 }, () => [randomUUID() as string, { count: 1, epoch: "e" }]))
      yield* sql`CREATE TABLE public.statements (label text)`
      yield* sql`CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.statements VALUES (TG_TABLE_NAME); RETURN NULL; END $$`
      for (const table of ["endpoint_streams", "checkpoint", "checkpoint_definitions", "checkpoint_shapes", "checkpoint_versions"]) {
        yield* sql.unsafe(`CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON pgstream.${table}
          FOR EACH STATEMENT EXECUTE FUNCTION public.note()`)
      }
      yield* checkpoint.save(stream, {
        position: 1, counts, upserted: [], removed: [],
        shapes: { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
      })
      const statements = yield* sql<{ readonly label: string; readonly n: bigint }>`
        SELECT label, count(*) AS n FROM public.statements GROUP BY 1 ORDER BY 1`
      // INSERT … ON CONFLICT fires both statement triggers.
      assert.deepStrictEqual(statements.map((row) => [row.label, Number(row.n)]), [["checkpoint", 2], ["endpoint_streams", 2]])
    }))

  it.effect("counts that are saved again need no new index entry (HOT)", () =>
    Effect.gen(function*() {
      const checkpoint = yield* Checkpoint
      const sql = yield* StoreSql
      const stream = { systemIdentifier: "1", slotName: "hot" }
      const ids = Array.from({ length: 500 }, () => randomUUID())
      const save = (position: number) => checkpoint.save(stream, {
        position, counts: new Map(ids.map((id) => [id, { count: position, epoch: "0123456789abcdef" }])), upserted: [], removed: [],
        shapes: { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
      })
      yield* save(1)
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* save(2)
        const rows = yield* sql<{ readonly relname: string; readonly updated: bigint; readonly hot: bigint }>`
          SELECT relname::text, n_tup_upd AS updated, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables
          WHERE relname IN ('checkpoint', 'endpoint_streams') ORDER BY relname`
        assert.deepStrictEqual(rows, [
          { relname: "checkpoint", updated: 1n, hot: 1n }, { relname: "endpoint_streams", updated: 500n, hot: 500n }
        ])
      }))
    }))

  it.effect("keeps what is paused, over saves and resets", () =>
    Effect.gen(function*() {
      const checkpoint = yield* Checkpoint
      const sql = yield* StoreSql
      const stream = { systemIdentifier: "1", slotName: "paused" }
      const id = randomUUID()
      yield* sql`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, paused, paused_reason) VALUES ('1/paused', ${id}, true, 'copy')`
      yield* checkpoint.reset({ stream, position: 0, counts: new Map(), definitions: [], versions: "", shapes: { tables: [], versions: [] } })
      yield* checkpoint.save(stream, {
        position: 1, counts: new Map([[id, { count: 4, epoch: "e" }]]), upserted: [], removed: [],
        shapes: { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
      })
      const [row] = yield* sql<{ readonly paused: boolean; readonly paused_reason: string; readonly count: bigint }>`
        SELECT paused, paused_reason, count FROM pgstream.endpoint_streams WHERE endpoint_id = ${id}`
      assert.deepStrictEqual(row, { paused: true, paused_reason: "copy", count: 4n })
    }))
})
