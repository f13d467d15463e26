/**
 * The bare loop: `Pool.request` of undici, POSTing bodies that were built before, `CONCURRENCY` at a time. What a client
 * in Node can do that does nothing else.
 *
 * Environment: `TARGET` url, `REQUESTS` file of `[{ headers: string[], body: string }]`, `EVENTS`, `CONCURRENCY`.
 */
import { readFileSync } from "node:fs"
import { Pool } from "undici"

interface Prebuilt {
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

const target = new URL(process.env["TARGET"]!)
const events = Number(process.env["EVENTS"])
const concurrency = Number(process.env["CONCURRENCY"])
const requests = (JSON.parse(readFileSync(process.env["REQUESTS"]!, "utf8")) as ReadonlyArray<Prebuilt>)
  .map(({ body, headers }) => ({ headers: [...headers], body: Buffer.from(body) }))

const pool = new Pool(target.origin, { connections: concurrency, pipelining: 1 })
let next = 0

const worker = async (): Promise<void> => {
  while (next < events) {
    const { body, headers } = requests[next++ % requests.length]!
    const response = await pool.request({ path: target.pathname, method: "POST", headers, body })
    await response.body.dump()
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  }
}

await Promise.all(Array.from({ length: concurrency }, worker))
await pool.close()
