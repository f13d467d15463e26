/** The program with a key: signed and authorized requests, nothing readable in the store, and none of it an event. */
import { afterAll, assert, it } from "vitest"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { Webhook } from "standardwebhooks"
import { callApi, makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"

const database = testDatabase("e2e_signing")
const SECRET_VALUE = "value-of-a-row"

interface Seen {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const program = await makeProgram({
  url: database.url, slot: "e2e_signing",
  settings: { PGSTREAM_SECRET_KEY: Buffer.alloc(32, 9).toString("base64"), PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER: "100ms" }
})

const seen: Array<Seen> = []
let status = 200
const server = createServer((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => {
    seen.push({ headers: request.headers, body: Buffer.concat(parts).toString("utf8") })
    response.writeHead(status).end()
  })
})
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
afterAll(() => {
  server.close()
  server.closeAllConnections()
})
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const verifies = (secret: string, { body, headers }: Seen): boolean => {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>)
    return true
  } catch {
    return false
  }
}

const patch = async (id: string, body: object) => {
  const answer = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${id}`, {
    method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body)
  })
  assert.strictEqual(answer.status, 200, await answer.clone().text())
}

const holds = (request: Seen | undefined, n: number) => request?.body.includes(`"value":${n}`) === true
const insert = async (n: number): Promise<Seen> => {
  database.psql(`INSERT INTO t VALUES (${n}, '${SECRET_VALUE}')`)
  await eventually(`row ${n} arrived`, () => seen.some((request) => holds(request, n)))
  return seen.findLast((request) => holds(request, n))!
}

it("signs from the first secret on, with both over a rotation; changes act at once; the tables are no events", async () => {
  database.psql("CREATE TABLE t (id int PRIMARY KEY, v text)")
  await program.init()
  const running = await program.run()
  const { body } = await subscribe(program, { url })
  const id = String(body["endpoint_id"])
  assert.notProperty((await insert(1)).headers, "webhook-signature")

  const rotate = async (payload: object) => String((await callApi(program, `/webhooks/endpoints/${id}/rotate-secret`, payload)).body["secret"])
  const first = await rotate({})
  await eventually("requests are signed", async () => verifies(first, await insert(100 + seen.length)))
  const second = await rotate({})
  await eventually("both sign", async () => verifies(second, await insert(100 + seen.length)))
  assert.isTrue(verifies(first, seen.at(-1)!))
  await patch(id, { auth: { type: "bearer", token: "t0ken" }, headers: { "X-Api-Key": "h3ader" } })
  await eventually("the token is sent", async () => (await insert(100 + seen.length)).headers.authorization === "Bearer t0ken")
  assert.strictEqual(seen.at(-1)!.headers["x-api-key"], "h3ader")
  const third = await rotate({ overlap_seconds: 0 })
  await eventually("the new one alone signs", async () => verifies(third, await insert(100 + seen.length)))
  assert.isFalse(verifies(second, seen.at(-1)!))

  status = 500
  database.psql(`INSERT INTO t VALUES (7, '${SECRET_VALUE}')`)
  await eventually("it is parked", () => database.psql("SELECT count(*) FROM pgstream.webhook_deliveries").trim() === "1")
  const tables = database.psql("SELECT encode(content, 'escape') FROM pgstream.webhook_endpoint_secrets")
    + database.psql("SELECT encode(body, 'escape') FROM pgstream.webhook_deliveries")
  for (const text of ["t0ken", "h3ader", "whsec_", SECRET_VALUE]) assert.notInclude(tables, text)
  status = 200
  await eventually("it is delivered, signed", () => holds(seen.at(-1), 7) && verifies(third, seen.at(-1)!), 30_000)

  assert.deepStrictEqual(seen.filter(({ body: sent }) => !sent.includes(`"table":"t"`)), [])
  await running.stop()
  for (const text of ["t0ken", "h3ader", first, second, third, SECRET_VALUE]) assert.notInclude(running.stderr(), text)
}, 90_000)
