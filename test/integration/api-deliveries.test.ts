/** Deliveries over HTTP, on memory: who may see what, and what is refused. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import * as DeliveryLogMemory from "../../src/layers/memory/DeliveryLogMemory.ts"
import * as ParkedDeliveriesMemory from "../../src/layers/memory/ParkedDeliveriesMemory.ts"
import { ApiTokens } from "../../src/services/ApiTokens.ts"
import { DeliveryLog } from "../../src/services/DeliveryLog.ts"
import { ParkedDeliveries, type ParkedDelivery } from "../../src/services/ParkedDeliveries.ts"
import { memory, settingsLayer, startApi } from "../support/api.ts"
import { eventually } from "../support/eventually.ts"

const stream = { systemIdentifier: "1", slotName: "s" }
const endpoint = randomUUID()
const row = (n: number, more: Partial<ParkedDelivery> = {}): ParkedDelivery => ({
  endpointId: endpoint, id: `${n.toString(16).padStart(16, "0")}-${(n * 1e6).toString(16)}-0`, sequence: n, epoch: "e", commitLsn: n, ordinal: 1,
  table: "public.t", kind: "I", body: Buffer.from(`{"Data":{"columns":[{"name":"id","value":"secret ${n}"}]}}`), keys: [{ leaf: 1, root: 1, definition: 1, value: 7 }],
  selectedBy: [], attempts: 4, state: "waiting", dueAtMs: 0, retries: 3, lastError: "HTTP 500", ...more
})

const layer = Layer.mergeAll(memory, ParkedDeliveriesMemory.layer, DeliveryLogMemory.layer, settingsLayer())

it.live("lists, shows and orders; values of rows only with the scope manage", () =>
  Effect.gen(function*() {
    yield* (yield* ParkedDeliveries).write(stream, [row(1), row(2), row(3, { state: "dead" })])
    ;(yield* DeliveryLog).attempted(stream, row(1), { _tag: "Refused", status: 500, retryAfterMs: undefined, bodyStart: "secret answer" }, 1_000, 5)
    const tokens = yield* ApiTokens
    const [reader, manager] = yield* Effect.all((["read", "manage"] as const).map((scope) => tokens.add({ name: scope, scope, expiresAtMs: undefined })))
    const { get, post } = yield* startApi
    const as = (token: typeof reader) => ({ authorization: `Bearer ${Redacted.value(token!.secret)}` })
    const reading = (path: string, token = reader) => get(path, { headers: as(token) })
    yield* eventually("the tokens are known", Effect.map(reading("/webhooks/deliveries/counts"), ({ status }) => status === 200))

    const list = (yield* reading("/webhooks/deliveries?order=oldest&limit=2")).json as { readonly deliveries: ReadonlyArray<{ readonly sequence: number }>; readonly next: string }
    assert.deepStrictEqual(list.deliveries.map(({ sequence }) => sequence), [1, 2])
    const next = (yield* reading(`/webhooks/deliveries?order=oldest&limit=2&cursor=${encodeURIComponent(list.next)}`)).json as typeof list
    assert.deepStrictEqual([next.deliveries.map(({ sequence }) => sequence), next.next], [[3], null])
    assert.strictEqual((yield* reading("/webhooks/deliveries?cursor=nonsense")).status, 400)
    assert.strictEqual((yield* reading("/webhooks/deliveries?limit=1001")).json["code"], "InvalidRequest")
    const blocking = (yield* reading("/webhooks/deliveries/blocking")).json as { readonly blocking: ReadonlyArray<{ readonly behind: number; readonly sequence: number }> }
    assert.deepStrictEqual(blocking.blocking.map(({ behind, sequence }) => [sequence, behind]), [[1, 1]])

    const path = `/webhooks/deliveries/${endpoint}/${row(1).id}`
    const shown = yield* reading(path)
    assert.strictEqual(shown.status, 200)
    assert.notInclude(shown.text, "secret")
    assert.strictEqual((yield* reading(`${path}?body=true`)).status, 403)
    const whole = yield* reading(`${path}?body=true`, manager)
    assert.include(whole.text, "secret 1")
    assert.include(whole.text, "secret answer")
    assert.strictEqual((yield* reading(`/webhooks/deliveries/${endpoint}/nothing`)).json["code"], "NoSuchDelivery")
    for (const everything of ["/webhooks/deliveries", "/webhooks/deliveries?state=failed", "/webhooks/verify", "/webhooks/deliveries/counts"]) {
      assert.notInclude((yield* reading(everything)).text, "secret")
    }

    assert.strictEqual((yield* post("/webhooks/deliveries/retry", { state: "dead" }, as(reader))).status, 403)
    assert.strictEqual((yield* post("/webhooks/deliveries/purge", {}, as(manager))).status, 400)
    assert.strictEqual((yield* post("/webhooks/deliveries/replay", { all: true, rate: 0 }, as(manager))).status, 400)
    const ordered = yield* post("/webhooks/deliveries/replay", { key: "id=secret 1", table: "public.t", url: "http://u:hidden@127.0.0.1:7/p?t=1" }, as(manager))
    assert.strictEqual(ordered.status, 202)
    assert.deepStrictEqual([ordered.json["state"], ordered.json["to_host"], ordered.json["by"]], ["queued", "127.0.0.1:7", "manage"])
    const command = yield* reading(`/webhooks/deliveries/commands/${ordered.json["id"] as number}`)
    for (const secret of ["secret", "hidden", "t=1"]) assert.notInclude(command.text, secret)
    const cancelled = yield* get(`/webhooks/deliveries/commands/${ordered.json["id"] as number}`, { method: "DELETE", headers: as(manager) })
    assert.strictEqual(cancelled.json["state"], "cancelled")
    assert.strictEqual((yield* reading("/webhooks/deliveries/commands/999")).json["code"], "NoSuchCommand")
  }).pipe(Effect.scoped, Effect.provide(layer)))

it.live("with the scope read nobody asks for a key: an answer would tell whether a row has that value", () =>
  Effect.gen(function*() {
    yield* (yield* ParkedDeliveries).write(stream, [row(1)])
    const tokens = yield* ApiTokens
    const [reader, manager] = yield* Effect.all((["read", "manage"] as const).map((scope) => tokens.add({ name: scope, scope, expiresAtMs: undefined })))
    const { get } = yield* startApi
    const as = (token: typeof reader) => ({ headers: { authorization: `Bearer ${Redacted.value(token!.secret)}` } })
    yield* eventually("the tokens are known", Effect.map(get("/webhooks/deliveries/counts", as(reader)), ({ status }) => status === 200))
    for (const state of ["", "&state=failed"]) {
      const [right, wrong] = yield* Effect.all(["secret%201", "other"].map((value) => get(`/webhooks/deliveries?key=id=${value}${state}`, as(reader))))
      assert.deepStrictEqual([right!.status, right!.json["code"]], [403, "ScopeTooSmall"])
      assert.strictEqual(right!.text, wrong!.text)
    }
    assert.lengthOf((yield* get("/webhooks/deliveries?key=id=secret%201", as(manager))).json["deliveries"] as ReadonlyArray<unknown>, 1)
  }).pipe(Effect.scoped, Effect.provide(layer)))

it.live("what means nothing is named, and never asked of the store", () =>
  Effect.gen(function*() {
    const { get, post } = yield* startApi
    for (const [query, problem] of [
      ["tabel=public.t", /^tabel is not known\. Known are endpoint, /],
      ["table=t", /^table must be schema\.table, such as public\.orders\.$/],
      ["table=public.%00", /^table holds a NUL character/],
      ["id=%00", /^id holds a NUL character/]
    ] as const) {
      const refused = yield* get(`/webhooks/deliveries?${query}`)
      assert.deepStrictEqual([refused.status, refused.json["code"]], [400, "InvalidRequest"], query)
      assert.match(refused.json["detail"] as string, problem)
    }
    assert.match((yield* get("/webhooks/deliveries/blocking?table=public.t")).json["detail"] as string, /^table is not known\. Known is endpoint\.$/)
    assert.match((yield* get("/webhooks/verify?epoch=1")).json["detail"] as string, /^epoch is not known\. Known is endpoint\.$/)
    assert.match((yield* get(`/webhooks/deliveries/${endpoint}/1?bdy=true`)).json["detail"] as string, /^bdy is not known\. Known is body\.$/)
    assert.match((yield* post("/webhooks/deliveries/purge", { table: "t" })).json["detail"] as string, /^table must be schema\.table/)
    assert.match((yield* post("/webhooks/deliveries/purge", { ids: ["a\0"] })).json["detail"] as string, /^ids\[0\] holds a NUL character/)
  }).pipe(Effect.scoped, Effect.provide(layer)))
