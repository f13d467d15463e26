/**
 * The contract of `TableCatalog`, run once per implementation. The layer's database has `public.orders (id, name)`, the
 * partitioned `app.events` with its partition `app.events_1`, the view `public.v`, and the empty schema `empty`.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { TableCatalog } from "../../src/services/TableCatalog.ts"

export const suite = <R, E>(name: string, layer: Layer.Layer<TableCatalog | R, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`TableCatalog (${name})`, (it) => {
    it.effect("has tables of every kind by schema and name, partitions with their parent, and empty schemas", () =>
      Effect.gen(function*() {
        const { schemas, tables } = yield* (yield* TableCatalog).read
        const ours = tables.filter(({ schema }) => schema !== "pgstream")
        assert.deepStrictEqual(ours.map(({ kind, name, schema }) => `${schema}.${name} ${kind}`), [
          "app.events partitioned table", "app.events_1 table", "public.orders table", "public.v view"
        ])
        const oidOf = (wanted: string) => ours.find((table) => table.name === wanted)!.oid
        assert.deepStrictEqual(ours.map(({ partitionOf }) => partitionOf), [undefined, oidOf("events"), undefined, undefined])
        for (const schema of ["app", "empty", "public"]) assert.include(schemas, schema)
      }))

    it.effect("tells in Postgres' words why a condition has no meaning", () =>
      Effect.gen(function*() {
        const catalog = yield* TableCatalog
        const orders = { schema: "public", name: "orders" }
        assert.isUndefined(yield* catalog.conditionProblem(orders, "id > 1 AND name = 'it''s'"))
        assert.include(yield* catalog.conditionProblem(orders, "colour = 'red'"), "column \"colour\" does not exist")
      }))
  })
