/** A webhook receiver that answers 200 at once and keeps the bodies in the order of arrival, each event once. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export interface Receiver {
  readonly url: string
  readonly bodies: ReadonlyArray<string>
  /** What an endpoint with total order must never show. */
  readonly problems: ReadonlyArray<string>
  close(): Promise<void>
}

export const startReceiver = async (): Promise<Receiver> => {
  const bodies = new Map<string, string>()
  const problems: Array<string> = []
  let inFlight = 0
  const server = createServer((request, response) => {
    if (++inFlight > 1) problems.push("two requests in flight at an endpoint with total order")
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      inFlight--
      const body = Buffer.concat(parts).toString("utf8")
      const id = String(request.headers["webhook-id"])
      const known = bodies.get(id)
      if (known !== undefined && known !== body) problems.push(`${id} came twice with different bodies`)
      bodies.set(id, known ?? body)
      response.writeHead(200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`,
    get bodies() {
      return [...bodies.values()]
    },
    problems,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}
