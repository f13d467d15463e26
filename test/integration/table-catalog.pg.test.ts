/** `TableCatalogPg` against the contract, and what a condition cannot do. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import * as TableCatalogPg from "../../src/layers/postgres/TableCatalogPg.ts"
import { TableCatalog } from "../../src/services/TableCatalog.ts"
import { testDatabase } from "../support/database.ts"
import { suite } from "../suites/TableCatalogSuite.ts"

const database = testDatabase("tablecatalog")

const source = Layer.effect(Sql.SourceSql, Effect.gen(function*() {
  database.psql(`
    CREATE SCHEMA IF NOT EXISTS app; CREATE SCHEMA IF NOT EXISTS empty;
    CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, name text);
    CREATE TABLE IF NOT EXISTS app.events (id int) PARTITION BY RANGE (id);
    CREATE TABLE IF NOT EXISTS app.events_1 PARTITION OF app.events FOR VALUES FROM (0) TO (10);
    CREATE OR REPLACE VIEW v AS SELECT 1 AS one;`)
  return yield* Sql.make(Redacted.make(database.url), "catalog test", 2)
}))
const layer = Layer.provideMerge(TableCatalogPg.layer, source)

suite("postgres", layer)

const orders = { schema: "public", name: "orders" }
const problem = (condition: string, table = orders) => TableCatalog.use((catalog) => catalog.conditionProblem(table, condition))

it.live("a condition is planned and never run: it reads no row, changes nothing, and does not take long", () =>
  Effect.gen(function*() {
    database.psql("INSERT INTO orders VALUES (1, 'hush-hush')")
    // Would fail at the row, with its value.
    assert.isUndefined(yield* problem("name::int > 1"))
    assert.include(yield* problem("id > 'many'"), "invalid input syntax for type integer: \"many\"")
    assert.include(yield* problem("id"), "must be type boolean")
    assert.include(yield* problem("id >"), "syntax error")
    // An immutable function of constants is called by the planner.
    database.psql(`CREATE OR REPLACE FUNCTION deletes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN true; END $$;
      CREATE OR REPLACE FUNCTION writes() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN deletes(); END $$;
      CREATE OR REPLACE FUNCTION sleeps() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN true; END $$`)
    assert.include(yield* problem("writes()"), "read-only")
    assert.include(yield* problem("sleeps()"), "could not be planned within 5000 ms")
    assert.strictEqual(database.psql("SELECT count(*) FROM orders").trim(), "1")
  }).pipe(Effect.provide(layer)), 30_000)

it.live("a table that somebody holds locked is no verdict about the condition", () =>
  Effect.gen(function*() {
    const locked = yield* Effect.scoped(Effect.gen(function*() {
      const sql = yield* Sql.SourceSql
      const connection = yield* sql.reserve
      yield* connection.executeUnprepared("BEGIN", [], undefined)
      yield* connection.executeUnprepared("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", [], undefined)
      const result = yield* Effect.flip(problem("id > 1"))
      yield* connection.executeUnprepared("ROLLBACK", [], undefined)
      return result
    }))
    assert.isTrue(locked.unavailable)
  }).pipe(Effect.provide(layer)), 30_000)
