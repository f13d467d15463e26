/**
 * A receiver as you would write one: takes only what was signed with its secret, answers quickly, takes each event once,
 * alone or in a batch, compressed or not. Without a secret it takes what anybody sends.
 *
 * Deliveries are at least once: after a lost answer or a restart the same event comes again, with the same id. Here the
 * ids are remembered in memory, the newest 100,000; a real receiver writes the id in the transaction that applies the event.
 */
import { createServer, type Server } from "node:http"
import { gunzipSync } from "node:zlib"
import { Webhook } from "standardwebhooks"

const REMEMBERED = 100_000
/** What a body may become, bytes. */
const MAX_BODY_BYTES = 256 * 1024 * 1024

interface Item {
  readonly id: string
  readonly event: unknown
}

/** `apply` throws when it cannot: then the event is asked for again. `secret`: whsec_…, of `rotate-secret`. */
export const makeReceiver = (apply: (event: unknown) => void, secret?: string): Server => {
  const seen = new Set<string>()
  const webhook = secret === undefined ? undefined : new Webhook(secret)

  /** Over the bytes as they came, but for the compression: JSON that was parsed and written again has another signature. */
  const parsed = (bytes: Buffer, headers: Record<string, string>): unknown => {
    try {
      const gzip = headers["content-encoding"] === "gzip"
      const body = (gzip ? gunzipSync(bytes, { maxOutputLength: MAX_BODY_BYTES }) : bytes).toString("utf8")
      return webhook === undefined ? JSON.parse(body) : webhook.verify(body, headers)
    } catch {
      return undefined
    }
  }

  /** Items of a batch have ids of their own, the same as when they come alone. */
  const itemsOf = (id: string, body: unknown): ReadonlyArray<Item> => (Array.isArray(body) ? body as ReadonlyArray<Item> : [{ id, event: body }])

  const statusFor = (items: ReadonlyArray<Item>): number => {
    for (const { event, id } of items) {
      if (seen.has(id)) continue
      try {
        apply(event)
      } catch {
        return 500
      }
      seen.add(id)
      if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!)
    }
    return 204
  }

  return createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const id = request.headers["webhook-id"]
      const body = parsed(Buffer.concat(parts), request.headers as Record<string, string>)
      const usable = request.method === "POST" && typeof id === "string" && body !== undefined
      response.writeHead(usable ? statusFor(itemsOf(id, body)) : 400).end()
    })
  })
}

if (import.meta.main) {
  const receiver = makeReceiver((event) => process.stdout.write(`${JSON.stringify(event)}\n`), process.env["WEBHOOK_SECRET"])
  receiver.listen(9910, "127.0.0.1")
}
