/**
 * A receiver as you would write one: takes only what was signed with its secret, answers quickly, and takes each event
 * once. Without a secret it takes what anybody sends.
 *
 * Deliveries are at least once: after a lost answer or a restart the same event comes again, with the same
 * `webhook-id`. Here the ids are remembered in memory, the newest 100,000; a real receiver writes the id in the
 * transaction that applies the event.
 */
import { createServer, type Server } from "node:http"
import { Webhook } from "standardwebhooks"

const REMEMBERED = 100_000

/** `apply` throws when it cannot: then the event is asked for again. `secret`: whsec_…, of `rotate-secret`. */
export const makeReceiver = (apply: (event: unknown) => void, secret?: string): Server => {
  const seen = new Set<string>()
  const webhook = secret === undefined ? undefined : new Webhook(secret)

  /** Over the bytes as they came: JSON that was parsed and written again has another signature. */
  const parsed = (body: string, headers: Record<string, string>): unknown => {
    try {
      return webhook === undefined ? JSON.parse(body) : webhook.verify(body, headers)
    } catch {
      return undefined
    }
  }

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
      const event = parsed(Buffer.concat(parts).toString("utf8"), request.headers as Record<string, string>)
      const usable = request.method === "POST" && typeof id === "string" && event !== undefined
      response.writeHead(usable ? statusFor(id, event) : 400).end()
    })
  })
}

if (import.meta.main) {
  const receiver = makeReceiver((event) => process.stdout.write(`${JSON.stringify(event)}\n`), process.env["WEBHOOK_SECRET"])
  receiver.listen(9910, "127.0.0.1")
}
