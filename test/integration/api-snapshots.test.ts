/** Copies over HTTP: asked for, watched, paused, resumed, cancelled; and what is refused. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ApiTokens } from "../../src/services/ApiTokens.ts"
import { AuditLog } from "../../src/services/Audit.ts"
import { CopyRequests } from "../../src/services/CopyRequests.ts"
import { memory, settingsLayer, startApi } from "../support/api.ts"
import { eventually } from "../support/eventually.ts"

const api = <A, E>(name: string, work: (made: Effect.Success<typeof startApi>) => Effect.Effect<A, E, CopyRequests | ApiTokens>) =>
  it.live(name, () => startApi.pipe(Effect.flatMap(work), Effect.provide(memory), Effect.provide(settingsLayer()), Effect.scoped))

const url = "http://localhost:9/hook"
type Api = Effect.Success<typeof startApi>
const patch = ({ get }: Api, path: string, body: unknown) =>
  get(path, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
const subscribed = ({ post }: Api, more: Record<string, unknown> = {}) =>
  Effect.map(post("/webhooks/subscribe", { url, ...more }), ({ json, status }) => {
    assert.strictEqual(status, 201)
    return json as { readonly id: string; readonly snapshots?: ReadonlyArray<string> }
  })
interface View {
  readonly id: string
  readonly state: string
  readonly where?: string | null
  readonly subscription_id: string
  readonly percent: number
  readonly mode: string
  readonly tables: ReadonlyArray<{ readonly table: string; readonly state: string; readonly rows: number }>
}
const viewsOf = (json: Record<string, unknown>) => json["snapshots"] as ReadonlyArray<View>

api("a subscription asks for rows of one table; the copy says how far it is", (made) =>
  Effect.gen(function*() {
    const { id } = yield* subscribed(made)
    const asked = yield* made.post(`/webhooks/subscriptions/${id}/snapshot`, { tables: ["orders"], where: "id > 1000" })
    assert.strictEqual(asked.status, 202, asked.text)
    const [copy] = viewsOf(asked.json)
    assert.deepInclude(copy, { state: "requested", subscription_id: id, where: "id > 1000", percent: 0, mode: "full" })
    assert.deepStrictEqual(copy!.tables.map(({ state, table }) => [table, state]), [["orders", "waiting"]])
    const requests = yield* CopyRequests
    yield* requests.setState(copy!.id, "running")
    yield* requests.saveTables(copy!.id, [{
      schema: "public", table: "orders", oid: 0, filenode: 1, state: "running", doneThrough: ["9"], rows: 5, bytes: 50, totalRows: 20, totalBytes: 200, error: undefined
    }])
    const seen = yield* made.get(`/webhooks/snapshots/${copy!.id}`)
    assert.deepInclude(seen.json, { state: "running", rows: 5, bytes: 50, total_rows: 20, total_bytes: 200, percent: 25 })
    assert.lengthOf(viewsOf((yield* made.get("/webhooks/snapshots")).json), 1)
  }))

api("a copy is paused, resumed, cancelled, and then it is over", (made) =>
  Effect.gen(function*() {
    const { id } = yield* subscribed(made, { table: "users", snapshot: true })
    const copy = viewsOf((yield* made.get("/webhooks/snapshots")).json)[0]!
    assert.deepInclude(copy, { subscription_id: id, state: "requested" })
    const path = `/webhooks/snapshots/${copy.id}`
    assert.strictEqual((yield* patch(made, path, { state: "paused" })).json["state"], "paused")
    assert.strictEqual((yield* patch(made, path, { state: "running" })).json["state"], "requested")
    assert.strictEqual((yield* patch(made, path, { state: "cancelled" })).json["state"], "cancelled")
    const over = yield* patch(made, path, { state: "paused" })
    assert.deepStrictEqual([over.status, over.json["code"]], [409, "CopyIsOver"])
  }))

api("subscribe with snapshot asks for all that it selects, again without a second copy; of a table to come, nothing", (made) =>
  Effect.gen(function*() {
    const first = yield* subscribed(made, { snapshot: true })
    assert.lengthOf(first.snapshots!, 1)
    assert.deepStrictEqual((yield* subscribed(made, { snapshot: true })).snapshots, first.snapshots)
    assert.deepStrictEqual(viewsOf((yield* made.get("/webhooks/snapshots")).json)[0]!.tables.map(({ table }) => table), ["orders", "users"])
    assert.deepStrictEqual((yield* subscribed(made, { table: "later", snapshot: true })).snapshots, [])
    assert.isUndefined((yield* subscribed(made, { table: "users" })).snapshots)
  }))

api("what cannot be copied is a 400 that names the field and the mend", (made) =>
  Effect.gen(function*() {
    const { id } = yield* subscribed(made)
    const path = `/webhooks/subscriptions/${id}/snapshot`
    const refused = (body: unknown) =>
      Effect.map(made.post(path, body), ({ json, status }) => {
        const [error] = json["errors"] as ReadonlyArray<{ readonly field: string; readonly problem: string }>
        return [status, json["code"], error!.field, error!.problem]
      })
    assert.deepStrictEqual(yield* refused({ tables: ["ordres"] }), [400, "CopyRefused", "tables", "ordres matches no table; the nearest is public.orders"])
    assert.deepStrictEqual(yield* refused({ tables: ["orders"], where: "colour = 'red'" }), [
      400, "CopyRefused", "where", "is refused by Postgres: column \"colour\" does not exist (public.orders)"
    ])
    assert.deepStrictEqual(yield* refused({ tables: ["orders"], where: "true) OR (true" }), [400, "InvalidRequest", "where", "closes a parenthesis that it did not open"])
    assert.deepStrictEqual((yield* refused({ tables: ["a.b.c"] })).slice(0, 3), [400, "InvalidRequest", "tables[0]"])
    assert.deepStrictEqual((yield* refused({ tables: "orders" })).slice(0, 3), [400, "InvalidRequest", "tables"])
    assert.deepStrictEqual((yield* refused({ table: ["orders"] })).slice(0, 3), [400, "InvalidRequest", "table"])
    assert.deepStrictEqual(viewsOf((yield* made.get("/webhooks/snapshots")).json), [])
    const other = yield* made.post("/webhooks/subscriptions/7d1c9d3a-0000-4000-8000-000000000000/snapshot", {})
    assert.deepStrictEqual([other.status, other.json["code"]], [404, "NoSuchSubscription"])
    for (const unknown of ["/webhooks/snapshots/12345", "/webhooks/snapshots/x", "/webhooks/snapshots/9999999999999999999"]) {
      const answer = yield* made.get(unknown)
      assert.deepStrictEqual([answer.status, answer.json["code"]], [404, "NoSuchCopy"])
    }
  }))

api("who may only read sees no condition and changes nothing", (made) =>
  Effect.gen(function*() {
    const { id } = yield* subscribed(made)
    const asked = yield* made.post(`/webhooks/subscriptions/${id}/snapshot`, { tables: ["orders"], where: "name = 'hush-hush'" })
    const tokens = yield* ApiTokens
    const { secret } = yield* tokens.add({ name: "reader", scope: "read", expiresAtMs: undefined })
    const headers = { authorization: `Bearer ${Redacted.value(secret)}`, "content-type": "application/json" }
    const path = `/webhooks/snapshots/${viewsOf(asked.json)[0]!.id}`
    yield* eventually("the token counts", Effect.map(made.get(path, { headers }), ({ status }) => status === 200))
    const seen = yield* made.get(path, { headers })
    assert.notInclude(seen.text, "hush-hush")
    assert.strictEqual((yield* made.get(path, { method: "PATCH", headers, body: "{\"state\":\"paused\"}" })).status, 403)
  }))

it.live("each request and change is on record, without the condition", () => {
  const lines: Array<Readonly<Record<string, string | number | boolean>>> = []
  return Effect.gen(function*() {
    const made = yield* startApi
    const { id } = yield* subscribed(made)
    const asked = yield* made.post(`/webhooks/subscriptions/${id}/snapshot`, { tables: ["orders"], where: "name = 'hush-hush'" })
    const copyId = viewsOf(asked.json)[0]!.id
    yield* patch(made, `/webhooks/snapshots/${copyId}`, { state: "paused" })
    assert.deepStrictEqual(lines.slice(1), [
      { audit: "snapshot.request", who: "local", copyId, subscriptionId: id, condition: true },
      { audit: "snapshot.change", who: "local", copyId, state: "paused" }
    ])
  }).pipe(
    Effect.provideService(AuditLog, { write: (line) => Effect.sync(() => void lines.push(line)) }),
    Effect.provide(memory), Effect.provide(settingsLayer()), Effect.scoped
  )
})
