/**
 * A receiver that costs little: answers 200 as soon as a request is whole, or `DELAY_MS` later, or `never`; and counts. A
 * process of its own; says `{ port }` over IPC, answers `read` with what it counted since the last `reset`, ends with its parent.
 */
import { createServer, type Socket } from "node:net"

const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
const lengthName = Buffer.from("content-length:")
const KEPT = 1_000
const delay = process.env["DELAY_MS"] ?? "0"

const reply = (socket: Socket): void => {
  if (delay === "0") socket.write(answer)
  else if (delay !== "never") setTimeout(() => socket.writable && socket.write(answer), Number(delay))
}

const counted = { events: 0, bytes: 0, firstMs: 0, lastMs: 0 }
/** The first requests, as they were sent: what the bare loop sends. */
let kept: Array<{ readonly head: string; readonly body: string }> = []

/** Bytes of the body after this head. */
const lengthOf = (head: Buffer): number => {
  let at = head.indexOf(lengthName)
  if (at < 0) at = head.indexOf("Content-Length:")
  let length = 0
  for (let i = at + lengthName.length; i < head.length; i++) {
    const digit = head[i]! - 0x30
    if (digit >= 0 && digit <= 9) length = length * 10 + digit
    else if (head[i] === 0x0d) break
  }
  return length
}

const count = (head: Buffer, body: Buffer): void => {
  const now = performance.now()
  if (counted.events === 0) counted.firstMs = now
  counted.events++
  counted.bytes += body.length
  counted.lastMs = now
  if (kept.length < KEPT) kept.push({ head: head.toString("latin1"), body: body.toString("utf8") })
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined
  socket.on("data", (data) => {
    let bytes = rest === undefined ? data : Buffer.concat([rest, data])
    rest = undefined
    while (bytes.length > 0) {
      const end = bytes.indexOf("\r\n\r\n")
      const length = end < 0 ? 0 : lengthOf(bytes.subarray(0, end))
      if (end < 0 || bytes.length < end + 4 + length) {
        rest = bytes
        return
      }
      count(bytes.subarray(0, end), bytes.subarray(end + 4, end + 4 + length))
      reply(socket)
      bytes = bytes.subarray(end + 4 + length)
    }
  })
  socket.on("error", () => undefined)
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send!({ port: typeof address === "object" && address !== null ? address.port : 0 })
})

process.on("message", (message) => {
  if (message === "reset") {
    Object.assign(counted, { events: 0, bytes: 0, firstMs: 0, lastMs: 0 })
    kept = []
  }
  process.send!(message === "kept" ? { kept } : { counted })
})
process.on("disconnect", () => process.exit(0))
