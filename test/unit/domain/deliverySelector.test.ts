import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../../src/domain/DeliverySelector.ts"
import * as EventId from "../../../src/domain/EventId.ts"

const body = Buffer.from(JSON.stringify({
  Data: {
    action: "U", schema: "public", table: "users",
    columns: [{ id: "x", name: "id", type: "int8", value: 42 }, { name: "email", type: "text", value: "a=b,c" }, { name: "big", type: "int8", value: 0 }],
    identity: [{ name: "id", type: "int8", value: 41 }]
  }
}).replace("\"big\",\"type\":\"int8\",\"value\":0", "\"big\",\"type\":\"int8\",\"value\":9007199254740993"))

const key = (text: string) => Result.getOrThrow(DeliverySelector.parseKey(text))

describe("a key", () => {
  it("is columns and values, with a backslash before what belongs to a value", () => {
    assert.deepStrictEqual(key("id=42"), [{ column: "id", value: "42" }])
    assert.deepStrictEqual(key("a=1,b=x=y"), [{ column: "a", value: "1" }, { column: "b", value: "x=y" }])
    assert.deepStrictEqual(key("email=a=b\\,c"), [{ column: "email", value: "a=b,c" }])
    for (const bad of ["", "id", "=1", "a=1,", "a=1,b"]) assert.isTrue(Result.isFailure(DeliverySelector.parseKey(bad)), bad)
  })
  it("is found in columns and identity, by all digits", () => {
    assert.isTrue(DeliverySelector.hasKey(body, key("id=42")))
    assert.isTrue(DeliverySelector.hasKey(body, key("id=41")))
    assert.isTrue(DeliverySelector.hasKey(body, key("id=42,email=a=b\\,c")))
    assert.isTrue(DeliverySelector.hasKey(body, key("big=9007199254740993")))
    assert.isFalse(DeliverySelector.hasKey(body, key("big=9007199254740992")))
    assert.isFalse(DeliverySelector.hasKey(body, key("id=4")))
    assert.isFalse(DeliverySelector.hasKey(body, key("nope=42")))
    assert.isFalse(DeliverySelector.hasKey(Buffer.from("\0frame"), key("id=42")))
  })
})

describe("a selector", () => {
  const id = `${EventId.prefixOf(0x1a2b3c4, 1_000_000)}0`
  const delivery = { endpointId: "e", id, table: "public.users", state: "dead" as const, parkedAtMs: 5 }
  const at = Date.UTC(2000, 0, 1, 0, 0, 1)
  it("takes what fits all that is given", () => {
    assert.strictEqual(DeliverySelector.committedAtMs(id), at)
    const yes = [{}, { endpointId: "e" }, { ids: ["x", id] }, { state: "dead" as const }, { table: "public.users" }, { fromMs: at }, { toMs: at + 1 }]
    const no = [{ endpointId: "f" }, { ids: ["x"] }, { state: "waiting" as const }, { table: "users" }, { fromMs: at + 1 }, { toMs: at }]
    for (const each of yes) assert.isTrue(DeliverySelector.selects(each, delivery), JSON.stringify(each))
    for (const each of no) assert.isFalse(DeliverySelector.selects(each, delivery), JSON.stringify(each))
    assert.isTrue(DeliverySelector.selects(Object.assign({}, ...yes), delivery))
  })
  it("goes by the time of parking where the id has none", () => {
    assert.isTrue(DeliverySelector.selects({ toMs: 6, fromMs: 5 }, { ...delivery, id: "0000000001a2b3c4-m" }))
    assert.isUndefined(DeliverySelector.committedAtMs("s-0123"))
  })
  it("is described without a value of a row", () => {
    assert.strictEqual(DeliverySelector.describe({ table: "public.users", key: key("email=secret") }), "table public.users, a key (email)")
    assert.strictEqual(DeliverySelector.describe({}), "all")
    assert.isTrue(DeliverySelector.isAll({}))
  })
})
