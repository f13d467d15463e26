/** What is requested, and what is refused, when a copy is asked for. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TablePattern from "../../../src/domain/TablePattern.ts"
import * as CopyRequestsMemory from "../../../src/layers/memory/CopyRequestsMemory.ts"
import * as SubscriptionStoreMemory from "../../../src/layers/memory/SubscriptionStoreMemory.ts"
import * as TableCatalogMemory from "../../../src/layers/memory/TableCatalogMemory.ts"
import * as WebhookTables from "../../../src/layers/memory/WebhookTables.ts"
import * as CopyAskingLive from "../../../src/layers/pipeline/CopyAskingLive.ts"
import { CopyAsking, CopyRefused, type CopyWish, MAX_OPEN_COPIES } from "../../../src/services/CopyAsking.ts"
import { CopyRequests } from "../../../src/services/CopyRequests.ts"
import { SubscriptionStore } from "../../../src/services/SubscriptionStore.ts"

const table = (oid: number, schema: string, name: string): TablePattern.CatalogTable => ({ oid, schema, name, kind: "table", partitionOf: undefined })
const catalog: TablePattern.Catalog = {
  schemas: ["app", "public"],
  tables: [table(1, "app", "users"), table(2, "public", "big"), table(3, "public", "orders"), table(4, "public", "users")]
}
const layer = CopyAskingLive.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(
    CopyRequestsMemory.layer,
    TableCatalogMemory.layer(catalog, { "public.orders": ["id"], "public.users": ["id", "name"] }),
    SubscriptionStoreMemory.layer.pipe(Layer.provide(WebhookTables.layer()))
  ))
)
const patterns = (...texts: ReadonlyArray<string>) => texts.map((text) => Result.getOrThrow(TablePattern.parse(text)))
const wish = (change: Partial<CopyWish>): CopyWish => ({
  subscription: undefined, tables: [], excluded: [], schemaOnly: [], where: undefined, mode: "full", repeatable: true, ...change
})
const ask = (change: Partial<CopyWish>) => CopyAsking.use((asking) => asking.ask(wish(change)))
const refused = (change: Partial<CopyWish>) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(ask(change))
    if (!(error instanceof CopyRefused)) throw error
    assert.deepStrictEqual(yield* (yield* CopyRequests).list, [])
    return error.problems.map(({ part, problem }) => `${part}: ${problem}`)
  })
const subscribed = (schema: string, name: string) =>
  SubscriptionStore.use((store) => store.subscribe({ url: "http://localhost:1/x", schema, table: name }, ["U"]))
const tablesOf = (copies: ReadonlyArray<{ readonly tables: ReadonlyArray<{ readonly schema: string; readonly table: string }> }>) =>
  copies.map(({ tables }) => tables.map((one) => `${one.schema}.${one.table}`).join(" "))
const NOBODY = "no subscription takes inserts of these tables now: nobody is sent a row. Subscribe first"
const test = (name: string, effect: Effect.Effect<void, unknown, CopyAsking | CopyRequests | SubscriptionStore>) =>
  it.effect(name, () => effect.pipe(Effect.provide(layer)))

test("patterns become tables; what is excluded is left out", Effect.gen(function*() {
  const { copies, notes } = yield* ask({ tables: patterns("*", "app.*", "z*"), excluded: patterns("b*") })
  assert.deepStrictEqual(tablesOf(copies), ["app.users public.orders public.users"])
  assert.deepStrictEqual(notes, ["z* matches no table now", NOBODY])
  assert.deepInclude(copies[0], { subscription: undefined, mode: "full", repeatable: true, where: undefined })
}))

test("a copy for all says when nobody would be sent a row", Effect.gen(function*() {
  yield* subscribed("public", "users")
  assert.deepStrictEqual((yield* ask({ tables: patterns("users") })).notes, [NOBODY])
  yield* SubscriptionStore.use((store) => store.subscribe({ url: "http://localhost:1/y", schema: "public", table: "" }, ["I"]))
  assert.deepStrictEqual((yield* ask({ tables: patterns("orders") })).notes, [])
}))

test("of schema-only tables no row is asked for", Effect.gen(function*() {
  const { copies } = yield* ask({ tables: patterns("*"), schemaOnly: patterns("big") })
  assert.deepStrictEqual(copies.map(({ mode }) => mode), ["schema", "full"])
  assert.deepStrictEqual(tablesOf(copies), ["public.big", "public.orders public.users"])
}))

test("what was copied is skipped where it is not repeatable", Effect.gen(function*() {
  const requests = yield* CopyRequests
  const first = yield* ask({ tables: patterns("orders"), repeatable: false })
  yield* requests.setState(first.copies[0]!.id, "running")
  yield* requests.setState(first.copies[0]!.id, "done")
  const second = yield* ask({ tables: patterns("orders"), repeatable: false })
  assert.deepStrictEqual([second.copies, second.skipped], [[], [{ schema: "public", table: "orders" }]])
}))

test("a subscription without tables gets what it selects; a schema-wide one, all of the schema", Effect.gen(function*() {
  const { id } = yield* subscribed("public", "orders")
  const one = yield* ask({ subscription: id })
  assert.deepStrictEqual(tablesOf(one.copies), ["public.orders"])
  assert.strictEqual(one.copies[0]?.subscription, id)
  assert.deepStrictEqual(tablesOf((yield* ask({ subscription: (yield* subscribed("public", "")).id })).copies), ["public.big public.orders public.users"])
  assert.deepStrictEqual(tablesOf((yield* ask({ subscription: (yield* subscribed("", "users")).id })).copies), ["app.users public.users"])
}))

test("a subscription to a table that is not there yet has nothing to copy", Effect.gen(function*() {
  const { copies, notes } = yield* ask({ subscription: (yield* subscribed("public", "later")).id })
  assert.deepStrictEqual([copies, notes], [[], ["public.later matches no table now"]])
}))

test("a subscription gets no rows of tables that it does not select", Effect.gen(function*() {
  const { id } = yield* subscribed("public", "orders")
  assert.deepStrictEqual(yield* refused({ subscription: id, tables: patterns("users") }), [
    "tables: hold no table that this subscription selects; it selects public.orders"
  ])
  assert.deepStrictEqual(tablesOf((yield* ask({ subscription: id, tables: patterns("*.*") })).copies), ["public.orders"])
}))

test("a name that is nothing is refused with the nearest, wherever it stands", Effect.gen(function*() {
  assert.deepStrictEqual(yield* refused({ tables: patterns("ordres"), excluded: patterns("bik"), schemaOnly: patterns("bigg") }), [
    "schema_only_tables: bigg matches no table; the nearest is public.big",
    "tables: ordres matches no table; the nearest is public.orders",
    "excluded_tables: bik matches no table; the nearest is public.big"
  ])
  assert.deepStrictEqual(yield* refused({ subscription: "7d1c9d3a-0000-4000-8000-000000000000" }), [
    "subscription: 7d1c9d3a-0000-4000-8000-000000000000 is none of the subscriptions; see them with   pgstream subscriptions list"
  ])
}))

test("a condition must have a meaning on each table", Effect.gen(function*() {
  assert.deepStrictEqual(yield* refused({ tables: patterns("orders"), where: "true) OR (true" }), ["where: closes a parenthesis that it did not open"])
  assert.deepStrictEqual(yield* refused({ tables: patterns("users", "orders"), where: "name = 'a'" }), [
    "where: is refused by Postgres: column \"name\" does not exist (public.orders)"
  ])
  assert.strictEqual((yield* ask({ tables: patterns("users"), where: "name = 'a'" })).copies[0]?.where, "name = 'a'")
}))

test("there is a most of copies that are not over", Effect.gen(function*() {
  for (let n = 0; n < MAX_OPEN_COPIES; n++) yield* ask({ tables: patterns("users"), where: `id > ${n}` })
  const error = yield* Effect.flip(ask({ tables: patterns("orders") }))
  assert.include(error.message, "100 copies are not over")
}))
