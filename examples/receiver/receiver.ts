/**
 * A receiver as you would write one: answers quickly, and takes each event once.
 *
 * Deliveries are at least once: after a lost answer or a restart the same event comes again, with the same
 * `webhook-id`. Here the ids are remembered in memory, the newest 100,000; a real receiver writes the id in the
 * transaction that applies the event.
 */
import { createServer, type Server } from "node:http"

const REMEMBERED = 100_000

const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** `apply` throws when it cannot: then the event is asked for again. */
export const makeReceiver = (apply: (event: unknown) => void): Server => {
  const seen = new Set<string>()

  const statusFor = (id: string, event: unknown): number => {
    if (seen.has(id)) return 204
    try {
      apply(event)
    } catch {
      return 500
    }
    seen.add(id)
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!)
    return 204
  }

  return createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const id = request.headers["webhook-id"]
      const event = parsed(Buffer.concat(parts).toString("utf8"))
      const usable = request.method === "POST" && typeof id === "string" && event !== undefined
      response.writeHead(usable ? statusFor(id, event) : 400).end()
    })
  })
}

if (import.meta.main) {
  makeReceiver((event) => process.stdout.write(`${JSON.stringify(event)}\n`)).listen(9910, "127.0.0.1")
}
