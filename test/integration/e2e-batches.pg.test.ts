/**
 * Batches from the database to receivers, over HTTP: bodies that are many times what a socket takes at once, in memory that
 * is used again. What each item says must be what its row was, whatever the answers were.
 */
import { afterAll, assert, describe, it } from "vitest"
import { createHash } from "node:crypto"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"
import { Webhook } from "standardwebhooks"
import { makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"

const ROWS = 6_000
const BATCH = { max_events: 100, max_delay_ms: 20 }
const SECRET = `whsec_${Buffer.alloc(24, 5).toString("base64")}`

interface Item {
  readonly id: string
  readonly sequence: number
  readonly event: { readonly Data: { readonly columns: ReadonlyArray<{ readonly name: string; readonly value: unknown }> } }
}

/** What is wrong with an item: its number, its row and the text of the row belong together. */
const problem = ({ event, id, sequence }: Item): string | undefined => {
  const value = (name: string) => event.Data.columns.find((column) => column.name === name)?.value
  const pad = createHash("md5").update(String(sequence)).digest("hex").repeat(20)
  return value("id") === sequence && value("pad") === pad ? undefined : `${id}, number ${sequence}: row ${String(value("id"))}`
}

/** `early`: what it answers before it has read the request, for the n-th one. */
const receiver = async (early: (n: number) => number | undefined, delayMs: (n: number) => number, check: (headers: IncomingHttpHeaders, body: string) => void = () => {}) => {
  const numbers = new Set<number>()
  const problems: Array<string> = []
  let [requests, most, bytes] = [0, 0, 0]
  const take = (headers: IncomingHttpHeaders, sent: Buffer): void => {
    try {
      const body = (headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent).toString("utf8")
      check(headers, body)
      const read = JSON.parse(body) as ReadonlyArray<Item> | Item["event"]
      const items = Array.isArray(read) ? read as ReadonlyArray<Item> : [{ id: String(headers["webhook-id"]), sequence: Number(headers["webhook-sequence"]), event: read as Item["event"] }]
      for (const item of items) {
        numbers.add(item.sequence)
        const wrong = problem(item)
        if (wrong !== undefined) problems.push(wrong)
      }
      ;[most, bytes] = [Math.max(most, items.length), Math.max(bytes, body.length)]
    } catch (error) {
      problems.push(String(error))
    }
  }
  const answer = (response: ServerResponse, status: number): void => void response.writeHead(status).end()
  const server = createServer((request, response) => {
    const n = requests++
    const status = early(n)
    if (status !== undefined) answer(response, status)
    const parts: Array<Buffer> = []
    request.on("error", () => undefined)
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      if (status !== undefined) return
      take(request.headers, Buffer.concat(parts))
      setTimeout(() => answer(response, 200), delayMs(n))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, numbers, problems,
    seen: () => ({ requests, most, bytes }),
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

const database = testDatabase("e2e_batches")
const program = await makeProgram({ url: database.url, slot: `e2e_batches_${process.pid}` })
const never = () => undefined
const plain = await receiver(never, (n) => n % 7)
const compressed = await receiver(never, (n) => n % 3, (headers, body) => new Webhook(SECRET).verify(body, headers as Record<string, string>))
const refusing = await receiver((n) => (n % 10 === 3 ? 503 : undefined), (n) => n % 5)
afterAll(() => [plain, compressed, refusing].forEach(({ close }) => close()))

const ask = async (method: string, path: string, body: object): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${program.apiPort}/webhooks/endpoints/${path}`, {
    method, headers: { "content-type": "application/json" }, body: JSON.stringify(body)
  })
  assert.strictEqual(answer.status, 200, await answer.clone().text())
}

describe("batches of 100 events over HTTP", () => {
  it("bring each row as it was: plain, compressed and signed, and to a receiver that refuses some before it read them", async () => {
    database.psql(`CREATE TABLE t(id int PRIMARY KEY, pad text)`)
    await program.init()
    const running = await program.run()
    const ids: Array<string> = []
    for (const { url } of [plain, compressed, refusing]) {
      const { body } = await subscribe(program, { url, schema: "public", table: "t" })
      ids.push(String(body["endpoint_id"]))
    }
    await ask("POST", `${ids[1]}/rotate-secret`, { secret: SECRET })
    for (const id of ids) await ask("PATCH", id, { batch: BATCH, gzip: id === ids[1] })
    database.psql(`INSERT INTO t SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, ${ROWS}) g`)
    for (const one of [plain, compressed, refusing]) {
      await eventually(`${ROWS} events at each`, () => {
        assert.deepStrictEqual(one.problems, [])
        return one.numbers.size >= ROWS
      }, 60_000)
    }
    assert.strictEqual((await running.stop()).code, 0)
    assert.deepStrictEqual([...plain.problems, ...compressed.problems, ...refusing.problems], [])
    for (const one of [plain, compressed, refusing]) {
      assert.deepStrictEqual([one.seen().most, one.numbers.size], [BATCH.max_events, ROWS])
      assert.isAbove(one.seen().bytes, 64 * 1024)
    }
    assert.isBelow(plain.seen().requests, ROWS / 20)
  })
})
