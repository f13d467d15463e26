/** `pgstream subscriptions` and `tokens` as a person calls them, on a real store, with no service running. */
import { createServer, type IncomingMessage } from "node:http"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Webhook } from "standardwebhooks"
import { afterAll, assert, describe, it } from "vitest"
import { pgstream } from "../support/cli.ts"
import { testDatabase } from "../support/database.ts"

const database = testDatabase("cli_subscriptions")
const empty = testDatabase("cli_subscriptions_empty")
const folder = mkdtempSync(join(tmpdir(), "pgstream-cli-"))
const slot = `cli_subs_${process.pid}`
const source = ["--postgres-url", database.url, "--replication-slot", slot]

interface Request {
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}
const requests: Array<Request> = []
let status = 204
const receiver = createServer((request, response) => {
  let body = ""
  request.setEncoding("utf8").on("data", (part: string) => { body += part })
  request.on("end", () => {
    requests.push({ headers: request.headers, body })
    response.writeHead(status).end(status < 300 ? undefined : "row value 4711")
  })
})
await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
const base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
afterAll(() => {
  receiver.close()
  rmSync(folder, { recursive: true, force: true })
})

const run = (...args: ReadonlyArray<string>) => pgstream([...args, ...source])
const json = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await run(...args, "--json")
  assert.strictEqual(code, 0, stderr)
  return JSON.parse(stdout)
}
const rows = () => database.psql("SELECT schema_name, table_name, event_types FROM pgstream.webhook_subscriptions ORDER BY 1, 2").trim()
const audits = (stderr: string) => stderr.split("\n").filter((line) => line.includes("audit="))

it("a store without the schema is exit code 4, and names init", async () => {
  const { code, stderr } = await pgstream(["subscriptions", "list", "--postgres-url", empty.url])
  assert.strictEqual(code, 4)
  assert.match(stderr, /pgstream init[\s\S]*SchemaMissing\n$/)
  assert.strictEqual((await run("init")).code, 0)
})

describe("subscriptions", () => {
  const hook = `${base}/a?token=s3cret`
  const withPassword = hook.replace("//", "//user:p4ss@")

  it("add prints the id alone on stdout, what it means and one audit line on stderr", async () => {
    const { code, stderr, stdout } = await run("subscriptions", "add", withPassword, "--schema", "public", "--table", "orders", "--event-types", "I,U")
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /^[0-9a-f-]{36}\n$/)
    assert.strictEqual(rows(), "public|orders|{I,U}")
    const [line, ...more] = audits(stderr)
    assert.deepStrictEqual(more, [])
    assert.match(line!, new RegExp(`Audit\\. audit=subscribe who=local host=127.0.0.1:\\d+ subscriptionId=${stdout.trim()} `))
    assert.notMatch(stderr, /p4ss/)
    assert.notMatch(line!, /s3cret|\/a/)
  })

  it("list is an aligned table, or JSON with ids in full", async () => {
    const { stdout } = await run("subscriptions", "list")
    const [head, line, ...rest] = stdout.trimEnd().split("\n")
    assert.match(head!, /^ID {8}ENDPOINT  TABLE {10}EVENTS  STATE {3}URL$/)
    assert.match(line!, /^[0-9a-f]{8}  [0-9a-f]{8}  public\.orders  I,U {5}active  http:\/\/\*\*\*@127\.0\.0\.1:\d+\/a\?token=s3cret$/)
    assert.deepStrictEqual(rest, [])
    const { subscriptions } = await json("subscriptions", "list")
    assert.deepInclude(subscriptions[0], { schema: "public", table: "orders", event_types: ["I", "U"], state: "active", paused: false })
    assert.isTrue(subscriptions[0].id.startsWith(line!.slice(0, 8)))
  })

  it("ids may be cut short, URLs be as they are shown; what is ambiguous or unknown names the near ones", async () => {
    const id = (await json("subscriptions", "list")).subscriptions[0].id as string
    assert.deepInclude(await json("subscriptions", "update", id.slice(0, 8), "--event-types", "D"), { id, event_types: ["D"] })
    assert.deepInclude(await json("subscriptions", "update", hook.replace("//", "//***@"), "--event-types", "all"), { id, event_types: [] })
    await run("subscriptions", "add", withPassword, "--table", "users")
    const several = await run("subscriptions", "update", withPassword, "--event-types", "I")
    assert.strictEqual(several.code, 1)
    assert.match(several.stderr, /^2 subscriptions are meant by that[\s\S]*\*\.users[\s\S]*Nothing was changed\.  Ambiguous\n$/m)
    const unknown = await run("subscriptions", "remove", `${base}/b`)
    assert.strictEqual(unknown.code, 1)
    assert.match(unknown.stderr, /There is no such subscription[\s\S]*Near to it:\n[\s\S]*public\.orders[\s\S]*NoSuchSubscription\n$/)
    assert.notMatch(several.stderr + unknown.stderr, /p4ss/)
  })

  it.each([
    [["add", "ftp://x/"], /url is no URL of a webhook/],
    [["add", `${base}/`, "--event-types", "I,X"], /--event-types: "X" is none of/],
    [["add", `${base}/`, "--table", "x".repeat(64)], /table is longer than 63 bytes/],
    [["update", "aaaa"], /^Say what to change: --event-types, --order/],
    [["add", `${base}/`, "--order", "random"], /--order/],
    [["add", `${base}/`, "--rate", "0"], /--rate: write a number from 1 to 100000, such as 50\/s, or none/],
    [["update", "aaaa", "--concurrency", "10001"], /--concurrency: write a number from 1 to 10000, or default/],
    [["update", "aaaa", "--batch", "1/50ms"], /--batch: write 2 to 1000 events/],
    [["update", "aaaa", "--batch", "10/11s"], /a delay of at most 10s, such as 100\/50ms, or none/],
    [["list", "extra"], /extra/]
  ])("%j is exit code 2", async (args, text) => {
    const { code, stderr } = await run("subscriptions", ...args)
    assert.strictEqual(code, 2)
    assert.match(stderr, text)
  })

  it("add and update say how the endpoint is sent to; what is not given stays", async () => {
    const added = await json("subscriptions", "add", `${base}/limits`, "--order", "total", "--concurrency", "3", "--rate", "50/s", "--batch", "100/2s", "--gzip")
    assert.deepInclude(added.endpoint, {
      id: added.endpoint_id, order: "total", concurrency: 3, rate: 50, batch: { max_events: 100, max_delay_ms: 2_000 }, gzip: true
    })
    const changed = await run("subscriptions", "update", added.id, "--order", "none", "--batch", "none", "--no-gzip")
    assert.strictEqual(changed.code, 0, changed.stderr)
    assert.include(changed.stderr, `Its endpoint ${added.endpoint_id}, for all its subscriptions: order none, 3 requests at once, at most 50/s.\n`)
    assert.match(audits(changed.stderr).join("\n"), /^.*audit=endpoint\.update who=local host=\S+ endpointId=\S+ changed="?order, batch, gzip"?$/)
    const both = await json("subscriptions", "update", added.id, "--event-types", "I", "--rate", "none", "--concurrency", "default")
    assert.deepInclude(both, { id: added.id, event_types: ["I"] })
    assert.deepInclude(both.endpoint, { order: "none", rate: null, batch: null, gzip: false, concurrency: 64 })
    assert.notProperty(await json("subscriptions", "update", added.id, "--event-types", "U"), "endpoint")
    await run("subscriptions", "remove", added.id)
  })

  it("an address that the guard refuses is not taken", async () => {
    const { code, stderr } = await run("subscriptions", "add", "http://169.254.169.254/latest")
    assert.strictEqual(code, 1)
    assert.match(stderr, /metadata[\s\S]*PGSTREAM_WEBHOOK_ALLOWED_HOSTS[\s\S]*AddressNotAllowed\n$/)
    assert.notInclude(rows(), "169")
  })

  it("rotate-secret prints it once; test signs with it, says status and time, and needs no service", async () => {
    const rotated = await run("subscriptions", "rotate-secret", withPassword)
    assert.strictEqual(rotated.code, 0, rotated.stderr)
    assert.match(rotated.stdout, /^whsec_[A-Za-z0-9+/]+=*\n$/)
    assert.notInclude(rotated.stderr, rotated.stdout.trim())
    const { code, stderr, stdout } = await run("subscriptions", "test", withPassword)
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /accepted with 204  \d+ ms  webhook-id test-[0-9a-f]{24}\n$/)
    const [request, ...more] = requests.splice(0)
    assert.deepStrictEqual(more, [])
    const event = new Webhook(rotated.stdout.trim()).verify(request!.body, request!.headers as Record<string, string>) as { readonly Data: object }
    assert.deepInclude(event.Data, { action: "M", prefix: "pgstream.test" })
    assert.match(String(request!.headers["webhook-id"]), /^test-/)
    assert.isUndefined(request!.headers["webhook-sequence"])
    assert.strictEqual(request!.headers.authorization, `Basic ${Buffer.from("user:p4ss").toString("base64")}`)
    assert.strictEqual(audits(stderr).length, 1)
  })

  it("a secret may be given in a file", async () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`
    writeFileSync(join(folder, "secret"), `${secret}\n`)
    const answer = await json("subscriptions", "rotate-secret", withPassword, "--secret-file", join(folder, "secret"), "--overlap", "0")
    assert.notProperty(answer, "secret")
    assert.notProperty(answer, "overlap_until")
    await run("subscriptions", "test", withPassword)
    const [request] = requests.splice(0)
    new Webhook(secret).verify(request!.body, request!.headers as Record<string, string>)
    writeFileSync(join(folder, "bad"), "s3cret")
    const bad = await run("subscriptions", "rotate-secret", withPassword, "--secret-file", join(folder, "bad"))
    assert.strictEqual(bad.code, 2)
    assert.notInclude(bad.stderr, "s3cret")
  })

  it("a test that is not accepted is exit code 1, with the reason and without the receiver's words", async () => {
    status = 500
    const refused = await run("subscriptions", "test", withPassword)
    status = 204
    assert.strictEqual(refused.code, 1)
    assert.match(refused.stdout, /not accepted: answered 500  \d+ ms/)
    assert.notInclude(refused.stdout + refused.stderr, "4711")
    await run("subscriptions", "add", "http://127.0.0.1:1/")
    const dead = await run("subscriptions", "test", "http://127.0.0.1:1/", "--json")
    assert.strictEqual(dead.code, 1)
    assert.deepInclude(JSON.parse(dead.stdout), { accepted: false, status: null, reason: "connection refused" })
    await run("subscriptions", "remove", "http://127.0.0.1:1/")
  })

  it("pause and resume by URL, endpoint or subscription; resume of a suspended one offers a copy of its rows", async () => {
    const [row] = (await json("subscriptions", "list")).subscriptions
    assert.deepInclude(await json("subscriptions", "pause", row.id), { id: row.endpoint_id, state: "paused" })
    const added = await run("subscriptions", "add", withPassword, "--table", "users")
    assert.match(added.stderr, /The endpoint is paused: paused by an operator\. To send:   pgstream subscriptions resume/)
    assert.deepInclude(await json("subscriptions", "resume", row.endpoint_id.slice(0, 10)), { state: "active", was: "paused" })
    await run("subscriptions", "pause", row.id)
    const unpaused = await run("subscriptions", "resume", row.id)
    assert.match(unpaused.stderr, /^Resumed http:\/\/\*\*\*@\S+, which was paused\.$/m)
    assert.notInclude(unpaused.stderr, "snapshot")
    const again = await run("subscriptions", "resume", row.id)
    assert.match(again.stderr, /^http:\/\/\*\*\*@\S+ is active: there was nothing to resume\.$/m)
    const unnumbered = await run("verify")
    assert.match(unnumbered.stderr, /^No number is settled yet: /m)
    const ended = "e0000000-0000-4000-8000-000000000000"
    database.psql(`INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, count, epoch) SELECT stream, '${ended}', 3, 'a1' FROM pgstream.endpoint_streams WHERE endpoint_id = '${row.endpoint_id}'`)
    assert.include((await run("verify", "--endpoint", ended.slice(0, 8))).stdout, "(ended)")
    database.psql(`DELETE FROM pgstream.endpoint_streams WHERE endpoint_id = '${ended}'`)
    database.psql(`UPDATE pgstream.endpoint_streams SET suspended_reason = 'its budget is used up', suspended_at = now() WHERE endpoint_id = '${row.endpoint_id}'`)
    const resumed = await run("subscriptions", "resume", row.endpoint_id)
    assert.strictEqual(resumed.code, 0, resumed.stderr)
    assert.include(resumed.stderr, `pgstream snapshot --subscription ${row.id}   # public.orders\n`)
  })

  it("remove says what goes with it; --all takes every one of a URL", async () => {
    const one = await run("subscriptions", "remove", (await json("subscriptions", "list")).subscriptions[0].id)
    assert.match(one.stderr, /Removed [0-9a-f-]{36}: public\.orders to http:\/\/\*\*\*@[^ ]+\. Nothing was parked for it alone\.\n/)
    await run("subscriptions", "add", withPassword, "--table", "more")
    const { removed } = await json("subscriptions", "remove", withPassword, "--all")
    assert.deepStrictEqual(removed.map((each: { endpoint_ended: boolean }) => each.endpoint_ended), [false, true])
    assert.strictEqual(rows(), "")
    assert.strictEqual((await run("subscriptions", "list")).stdout, "ID  ENDPOINT  TABLE  EVENTS  STATE  URL\n")
  })
})

describe("a store elsewhere, and a source that does not answer", () => {
  const away = ["--postgres-url", "postgres://postgres@127.0.0.1:1/gone?connect_timeout=2", "--replication-slot", slot]
  const env = { PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: database.url }

  it("list and add need the store alone", async () => {
    database.psql("DELETE FROM pgstream.checkpoint")
    const added = await pgstream(["subscriptions", "add", `${base}/away`, ...away], env)
    assert.strictEqual(added.code, 0, added.stderr)
    const listed = await pgstream(["subscriptions", "list", ...away], env)
    assert.strictEqual(listed.code, 0, listed.stderr)
    assert.match(listed.stdout, /^[0-9a-f]{8}  [0-9a-f]{8}  \*\.\* {4}all {5}- {6}http/m)
    assert.include(listed.stderr, "states of the endpoints cannot be read now")
  })

  it("what is done to an endpoint of a stream needs its name, and says so where nobody knows it", async () => {
    const { code, stderr } = await pgstream(["subscriptions", "pause", `${base}/away`, ...away], env)
    assert.strictEqual(code, 1)
    assert.match(stderr, /Cannot reach the store, or the source that names the stream[\s\S]*StoreUnavailable\n$/)
  })

  it("the store names the stream where it knows one of this slot, for whoever asks", async () => {
    database.psql(`INSERT INTO pgstream.checkpoint(stream, position) VALUES ('4711/${slot}', '0/1')`)
    const listed = await pgstream(["deliveries", "list", "--endpoint", `${base}/away`, ...away], env)
    assert.strictEqual(listed.code, 0, listed.stderr)
    const { code, stderr } = await pgstream(["subscriptions", "pause", `${base}/away`, ...away], env)
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(database.psql("SELECT stream FROM pgstream.endpoint_streams WHERE paused").trim(), `4711/${slot}`)
    assert.strictEqual((await pgstream(["subscriptions", "remove", `${base}/away`, ...away], env)).code, 0)
  })
})

describe("tokens", () => {
  it("add prints the token once; list never shows it", async () => {
    const made = await run("tokens", "add", "grafana", "--scope", "read", "--expires", "90d")
    assert.strictEqual(made.code, 0, made.stderr)
    assert.match(made.stdout, /^pgstream_[A-Za-z0-9_-]{43}\n$/)
    assert.match(audits(made.stderr)[0]!, /audit=token.add who=local token=grafana scope=read/)
    assert.notInclude(made.stderr, made.stdout.trim())
    const { tokens } = await json("tokens", "list")
    assert.deepInclude(tokens[0], { name: "grafana", scope: "read", last_used_on: null })
    assert.closeTo(Date.parse(tokens[0].expires_at) - Date.now(), 90 * 86_400_000, 3_600_000)
    const { stdout } = await run("tokens", "list")
    assert.match(stdout, /^NAME {5}SCOPE  MADE {8}EXPIRES {12}LAST USED\ngrafana  read {3}\d{4}-\d\d-\d\d  \d{4}-\d\d-\d\dT\d\d:\d\dZ  never\n$/)
    assert.notInclude(database.psql("SELECT * FROM pgstream.api_tokens"), made.stdout.trim())
  })

  it("says what is wrong", async () => {
    const taken = await run("tokens", "add", "grafana", "--scope", "manage")
    assert.deepStrictEqual([taken.code, taken.stdout], [1, ""])
    assert.match(taken.stderr, /pgstream tokens remove grafana[\s\S]*TokenNameTaken\n$/)
    for (const args of [["add", "local", "--scope", "read"], ["add", "x", "--scope", "write"], ["add", "x"], ["add", "x", "--scope", "read", "--expires", "1y"]]) {
      assert.strictEqual((await run("tokens", ...args)).code, 2, args.join(" "))
    }
    const unknown = await run("tokens", "remove", "grafanna")
    assert.strictEqual(unknown.code, 1)
    assert.match(unknown.stderr, /Was grafana meant\?[\s\S]*NoSuchToken\n$/)
  })

  it("remove takes the last one away, and says what that means", async () => {
    const { code, stderr } = await run("tokens", "remove", "grafana")
    assert.strictEqual(code, 0)
    assert.include(stderr, "PGSTREAM_API_TOKEN")
    assert.deepStrictEqual(await json("tokens", "list"), { tokens: [] })
  })
})
