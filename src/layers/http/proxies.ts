/** Connections by way of a proxy: `CONNECT` for `https:`; for `http:` the proxy is sent the whole URL. */
import { isIPv6 } from "node:net"
import type { Connect } from "./connecting.ts"

/** Of the proxy's answer to CONNECT. */
const MAX_HEAD_BYTES = 16 * 1_024

/** Its message is a reason in constant words. */
export class ProxyError extends Error {}

const BAD_ANSWER = "proxy: answer is not HTTP"

/** What comes of the proxy's answer: `undefined` while it is not whole. */
const judge = (head: Buffer): "open" | ProxyError | undefined => {
  const end = head.indexOf("\r\n\r\n")
  if (end < 0) return head.length > MAX_HEAD_BYTES ? new ProxyError(BAD_ANSWER) : undefined
  const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head.toString("latin1", 0, 16))?.[1]
  if (status === undefined) return new ProxyError(BAD_ANSWER)
  if (!status.startsWith("2")) return new ProxyError(`proxy refused: ${status}`)
  // A server waits for our first message of TLS.
  return head.length === end + 4 ? "open" : new ProxyError(BAD_ANSWER)
}

/** `open`: to the proxy. `authorization`: value of Proxy-Authorization. */
export const tunnel = (open: Connect, host: string, port: number, authorization: string | undefined): Connect => {
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  const credentials = authorization === undefined ? "" : `proxy-authorization: ${authorization}\r\n`
  const request = `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credentials}\r\n`
  return (_onread, ready) =>
    open(undefined, (error, socket) => {
      if (socket === undefined) return ready(error, undefined)
      let head: Buffer = Buffer.alloc(0)
      const end = (failure: ProxyError | undefined) => {
        socket.off("data", read).off("error", failed).off("close", closed)
        if (failure === undefined) return ready(undefined, socket)
        socket.on("error", () => undefined).destroy()
        ready(failure, undefined)
      }
      const read = (bytes: Buffer) => {
        head = Buffer.concat([head, bytes])
        const found = judge(head)
        if (found !== undefined) end(found === "open" ? undefined : found)
      }
      const closed = () => end(new ProxyError("proxy: connection closed without an answer"))
      const failed = closed
      socket.on("data", read).on("error", failed).on("close", closed)
      socket.write(request, "latin1")
    })
}
