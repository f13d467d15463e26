/** The contract of `SubscriptionStore`, run once per implementation. Each test uses URLs of its own. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { SubscriptionStore } from "../../src/services/SubscriptionStore.ts"

const newUrl = () => `http://user:p%40ss@${randomUUID()}.example/hook?a='b"c`
const listed = Effect.fnUntraced(function*(url: string) {
  return (yield* (yield* SubscriptionStore).list).filter((row) => row.url === url)
})

export const suite = <E>(name: string, layer: Layer.Layer<SubscriptionStore, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`SubscriptionStore (${name})`, (it) => {
    it.effect("lists what was subscribed, with ids, oldest first", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        const all = yield* store.subscribe({ url, schema: "", table: "" }, [])
        const some = yield* store.subscribe({ url, schema: "Public", table: `we"ird` }, ["I", "M"])
        assert.deepStrictEqual(yield* listed(url), [all, some])
        assert.deepStrictEqual([all.url, all.schema, all.table, all.eventTypes], [url, "", "", []])
        assert.deepStrictEqual([some.schema, some.table, some.eventTypes], ["Public", `we"ird`, ["I", "M"]])
        assert.match(all.id, /^[0-9a-f-]{36}$/)
        assert.isAbove(some.createdAtUs, all.createdAtUs - 1)
        assert.isTrue(Math.abs(some.createdAtUs / 1000 - Date.now()) < 3_600_000)
      }))

    it.effect("subscribing again replaces the event types and keeps the rest", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const key = { url: newUrl(), schema: "public", table: "t" }
        const first = yield* store.subscribe(key, ["I"])
        const second = yield* store.subscribe(key, ["I", "U", "D"])
        assert.deepStrictEqual(second, { ...first, eventTypes: ["I", "U", "D"] })
        assert.deepStrictEqual((yield* store.subscribe(key, [])).eventTypes, [])
        assert.strictEqual((yield* listed(key.url)).length, 1)
      }))

    it.effect("rows with one URL share an endpoint, others have their own", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const [url, other] = [newUrl(), newUrl()]
        const rows = [
          yield* store.subscribe({ url, schema: "", table: "a" }, []),
          yield* store.subscribe({ url, schema: "", table: "b" }, []),
          yield* store.subscribe({ url: other, schema: "", table: "a" }, [])
        ]
        assert.strictEqual(rows[0]!.endpointId, rows[1]!.endpointId)
        assert.notStrictEqual(rows[0]!.endpointId, rows[2]!.endpointId)
        assert.strictEqual(new Set(rows.map((row) => row.id)).size, 3)
      }))

    it.effect("unsubscribe removes exactly that row, and says whether there was one", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        const kept = yield* store.subscribe({ url, schema: "public", table: "" }, [])
        yield* store.subscribe({ url, schema: "public", table: "t" }, [])
        assert.isTrue(yield* store.unsubscribe({ url, schema: "public", table: "t" }))
        assert.isFalse(yield* store.unsubscribe({ url, schema: "public", table: "t" }))
        assert.isFalse(yield* store.unsubscribe({ url, schema: "PUBLIC", table: "" }))
        assert.deepStrictEqual(yield* listed(url), [kept])
      }))

    it.effect("update replaces the event types of the row with that id, and knows no other", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        const kept = yield* store.subscribe({ url, schema: "", table: "a" }, ["I"])
        const row = yield* store.subscribe({ url, schema: "", table: "b" }, ["I"])
        assert.deepStrictEqual(yield* store.update(row.id, ["D", "M"]), { ...row, eventTypes: ["D", "M"] })
        assert.deepStrictEqual((yield* store.update(row.id, []))?.eventTypes, [])
        assert.deepStrictEqual(yield* listed(url), [kept, { ...row, eventTypes: [] }])
        assert.isUndefined(yield* store.update(randomUUID(), []))
      }))

    it.effect("remove takes an id, and says whether the endpoint ended with it", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        const first = yield* store.subscribe({ url, schema: "", table: "a" }, [])
        const second = yield* store.subscribe({ url, schema: "", table: "b" }, [])
        assert.deepStrictEqual(yield* store.remove(first.id), { subscription: first, endpointEnded: false, withdrawn: 0 })
        assert.deepStrictEqual(yield* store.remove(second.id), { subscription: second, endpointEnded: true, withdrawn: 0 })
        assert.isUndefined(yield* store.remove(second.id))
        assert.deepStrictEqual(yield* listed(url), [])
      }))

    it.effect("with its last row an endpoint ends; a later subscription is a new one", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const key = { url: newUrl(), schema: "", table: "" }
        const first = yield* store.subscribe(key, [])
        yield* store.unsubscribe(key)
        const second = yield* store.subscribe(key, [])
        assert.notStrictEqual(second.endpointId, first.endpointId)
        assert.notStrictEqual(second.id, first.id)
      }))

    it.effect("lists more than a thousand rows", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        yield* Effect.forEach(Array.from({ length: 1100 }, (_, i) => i), (i) => store.subscribe({ url, schema: "", table: `t${i}` }, []), { concurrency: 4 })
        assert.strictEqual((yield* listed(url)).length, 1100)
      }))
  })

/** `layer`: with `SubscriptionSettings.max` 5, and nothing in it. */
export const limitSuite = <E>(name: string, layer: Layer.Layer<SubscriptionStore, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`SubscriptionStore, at its limit (${name})`, (it) => {
    it.effect("refuses one more, exactly, and lets what is there be changed", () =>
      Effect.gen(function*() {
        const store = yield* SubscriptionStore
        const url = newUrl()
        const add = (table: string) => store.subscribe({ url, schema: "", table }, [])
        const added = yield* Effect.forEach(
          Array.from({ length: 9 }, (_, n) => `t${n}`), (table) => Effect.option(add(table)), { concurrency: 4 }
        )
        assert.strictEqual(added.filter((one) => one._tag === "Some").length, 5)
        const rows = yield* listed(url)
        assert.strictEqual(rows.length, 5)
        assert.deepInclude(yield* Effect.flip(add("more")), { _tag: "TooManySubscriptions", max: 5 })
        assert.deepStrictEqual((yield* store.subscribe({ ...rows[0]! }, ["U"])).eventTypes, ["U"])
        yield* store.remove(rows[0]!.id)
        yield* add("more")
      }))
  })
