/**
 * A receiver as you would write one: answers quickly, and takes each event once.
 *
 * Deliveries are at least once: after a lost answer or a restart the same event comes again, with the same
 * `webhook-id`. Here the ids are remembered in memory, the newest 100,000; a real receiver writes the id in the
 * transaction that applies the event.
 */
import { createServer, type Server } from "node:http"

const REMEMBERED = 100_000

export const makeReceiver = (apply: (event: unknown) => void): Server => {
  const seen = new Set<string>()
  return createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const id = request.headers["webhook-id"]
      if (request.method !== "POST" || typeof id !== "string") {
        response.writeHead(400).end()
        return
      }
      if (!seen.has(id)) {
        apply(JSON.parse(Buffer.concat(parts).toString("utf8")))
        seen.add(id)
        if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!)
      }
      response.writeHead(204).end()
    })
  })
}

if (import.meta.main) {
  makeReceiver((event) => process.stdout.write(`${JSON.stringify(event)}\n`)).listen(9910, "127.0.0.1")
}
