/**
 * The bare loop: `Pool.request` of undici, POSTing bodies that were built before, `CONCURRENCY` at a time: what a client
 * in Node can do that does nothing else. With `SECRET` (base64) it signs each request, as Standard Webhooks.
 *
 * Environment: `TARGET` url, `REQUESTS` file of `[{ headers: string[], body: string }]`, `EVENTS`, `CONCURRENCY`, `SECRET`.
 */
import { createHmac, createSecretKey } from "node:crypto"
import { readFileSync } from "node:fs"
import { Pool } from "undici"

interface Prebuilt {
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

const target = new URL(process.env["TARGET"]!)
const events = Number(process.env["EVENTS"])
const concurrency = Number(process.env["CONCURRENCY"])
const secret = process.env["SECRET"] ?? ""
const key = secret === "" ? undefined : createSecretKey(Buffer.from(secret, "base64"))
const requests = (JSON.parse(readFileSync(process.env["REQUESTS"]!, "utf8")) as ReadonlyArray<Prebuilt>)
  .map(({ body, headers }) => ({ headers: [...headers], id: headers[headers.indexOf("webhook-id") + 1]!, body: Buffer.from(body) }))

const pool = new Pool(target.origin, { connections: concurrency, pipelining: 1 })
let next = 0

const signed = (id: string, body: Buffer): ReadonlyArray<string> => {
  if (key === undefined) return []
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const digest = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")
  return ["webhook-timestamp", timestamp, "webhook-signature", `v1,${digest}`]
}

const worker = async (): Promise<void> => {
  while (next < events) {
    const { body, headers, id } = requests[next++ % requests.length]!
    const response = await pool.request({ path: target.pathname, method: "POST", headers: key === undefined ? headers : [...headers, ...signed(id, body)], body })
    await response.body.dump()
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  }
}

await Promise.all(Array.from({ length: concurrency }, worker))
await pool.close()
