/**
 * A receiver that costs little: answers 200 as soon as a request is whole, or `DELAY_MS` later, or `never`; counts, and
 * checks what came: which numbers (`webhook-sequence`) each endpoint got twice or not at all, and how far out of order.
 *
 * A process of its own that ends with its parent; says `{ port }` over IPC. Commands: `reset` and `reset latency` begin
 * anew, `read` answers what was counted since, `kept` the first requests as they came, `samples` the latencies.
 * With `latency` each body is parsed: µs from the commit's timestamp to its arrival, and for rows that have the columns
 * `id` and `n` whether `n` only grew.
 */
import { createServer, type Socket } from "node:net"
import { Seen } from "./parts/Seen.ts"

const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
/** Requests that are kept at most, and their bytes. */
const KEPT = 1_000
const KEPT_BYTES = 16 * 1024 * 1024
/** Latencies that are kept at most. */
const SAMPLES = 1_000_000
const delay = process.env["DELAY_MS"] ?? "0"

const reply = (socket: Socket): void => {
  if (delay === "0") socket.write(answer)
  else if (delay !== "never") setTimeout(() => socket.writable && socket.write(answer), Number(delay))
}

const nothing = { requests: 0, events: 0, bytes: 0, firstMs: 0, lastMs: 0, wrongOrder: 0 }
const counted = { ...nothing }
let kept: Array<{ readonly head: string; readonly body: string }> = []
let keptBytes = 0
let seen = new Map<string, Seen>()
let latency = false
let samples: Array<number> = []
let newest = new Map<string, number>()
/** What to add to `performance.now()` for the time of day, ms: taken at ticks of the clock, which has whole ms only. */
let dayMs = 0
const TICKS = 8

/** A process that is put aside between a tick and the look at the other clock finds too little: the most is the truth. */
const timeOfDay = (): number => {
  let most = -Infinity
  for (let tick = 0; tick < TICKS; tick++) {
    const from = Date.now()
    let now = from
    while (now === from) now = Date.now()
    most = Math.max(most, now - performance.now())
  }
  return most
}

const digits = (bytes: Buffer, from: number): number => {
  let value = 0
  for (let i = from; i < bytes.length; i++) {
    const digit = bytes[i]! - 0x30
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return value
}

const LENGTH = Buffer.from("content-length: ")
const SEQUENCE = Buffer.from("webhook-sequence: ")
const ENDPOINT = Buffer.from("webhook-endpoint: ")
const ITEM = Buffer.from("\"sequence\":")

/** The value of a header as it is written by us; by others in any case. */
const after = (head: Buffer, name: Buffer): number => {
  const at = head.indexOf(name)
  if (at >= 0) return at + name.length
  const found = head.toString("latin1").toLowerCase().indexOf(name.toString("latin1").trimEnd())
  if (found < 0) return -1
  let value = found + name.length - 1
  while (head[value] === 0x20) value++
  return value
}

const seenOf = (head: Buffer): Seen | undefined => {
  const at = after(head, ENDPOINT)
  if (at < 0) return undefined
  const endpoint = head.toString("latin1", at, at + 36)
  const found = seen.get(endpoint)
  if (found !== undefined) return found
  const made = new Seen()
  seen.set(endpoint, made)
  return made
}

/** Numbers of a request: one in its head, or those of the items of a batch. Returns how many events it has. */
const number = (head: Buffer, body: Buffer): number => {
  const numbers = seenOf(head)
  if (body[0] !== 0x5b) {
    const at = numbers === undefined ? -1 : after(head, SEQUENCE)
    if (at >= 0) numbers!.add(digits(head, at))
    return 1
  }
  let events = 0
  for (let at = body.indexOf(ITEM); at >= 0; at = body.indexOf(ITEM, at + ITEM.length)) {
    numbers?.add(digits(body, at + ITEM.length))
    events++
  }
  return events
}

interface Payload {
  readonly Data?: { readonly timestamp?: string; readonly columns?: ReadonlyArray<{ readonly name: string; readonly value: unknown }> | null }
}

/** "2026-11-24 00:12:21.22944+00" in ms since 1970; `Date` knows no µs. */
const commitMs = (text: string): number => {
  const [, seconds = "", fraction = "", zone = ""] = /^([^.+]+)(?:\.(\d+))?(.*)$/.exec(text) ?? []
  return Date.parse(`${seconds.replace(" ", "T")}${/^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone}`) + Number(`0.${fraction || "0"}`) * 1_000
}

const measure = (body: Buffer, now: number): void => {
  const { Data: data } = JSON.parse(body.toString("utf8")) as Payload
  if (data?.timestamp !== undefined && samples.length < SAMPLES) samples.push((now + dayMs - commitMs(data.timestamp)) * 1_000)
  const value = (name: string) => data?.columns?.find((column) => column.name === name)?.value
  const [id, n] = [value("id"), value("n")]
  if (id === undefined || n === undefined) return
  if (Number(n) <= (newest.get(String(id)) ?? -1)) counted.wrongOrder++
  newest.set(String(id), Number(n))
}

const count = (head: Buffer, body: Buffer): void => {
  const now = performance.now()
  if (counted.requests === 0) counted.firstMs = now
  counted.requests++
  counted.events += number(head, body)
  counted.bytes += body.length
  counted.lastMs = now
  if (latency) measure(body, now)
  if (kept.length < KEPT && (keptBytes += body.length) < KEPT_BYTES) kept.push({ head: head.toString("latin1"), body: body.toString("utf8") })
}

const server = createServer({ noDelay: true }, (socket) => {
  let parts: Array<Buffer> = []
  let [held, needed] = [0, 0]
  socket.on("data", (data) => {
    parts.push(data)
    held += data.length
    // A long body comes in many parts: they are put together once.
    if (held < needed) return
    let bytes = parts.length === 1 ? data : Buffer.concat(parts, held)
    while (bytes.length > 0) {
      const end = bytes.indexOf("\r\n\r\n")
      const head = end < 0 ? undefined : bytes.subarray(0, end)
      const at = head === undefined ? -1 : after(head, LENGTH)
      needed = end < 0 ? 0 : end + 4 + (at < 0 ? 0 : digits(head!, at))
      if (end < 0 || bytes.length < needed) break
      count(head!, bytes.subarray(end + 4, needed))
      reply(socket)
      bytes = bytes.subarray(needed)
      needed = 0
    }
    parts = bytes.length === 0 ? [] : [bytes]
    held = bytes.length
  })
  socket.on("error", () => undefined)
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send!({ port: typeof address === "object" && address !== null ? address.port : 0 })
})

const numbers = () => {
  const all = [...seen.values()]
  const sum = (of: (each: Seen) => number) => all.reduce((total, each) => total + of(each), 0)
  return {
    endpoints: seen.size, twice: sum((each) => each.twice), missing: sum((each) => each.missing),
    backBy: Math.max(0, ...all.map((each) => each.backBy))
  }
}

process.on("message", (message) => {
  if (message === "reset" || message === "reset latency") {
    Object.assign(counted, nothing)
    kept = []
    keptBytes = 0
    seen = new Map()
    samples = []
    newest = new Map()
    latency = message === "reset latency"
    if (latency) dayMs = timeOfDay()
  }
  process.send!(message === "kept" ? { kept } : message === "samples" ? { samples } : { counted: { ...counted, ...numbers() } })
})
process.on("disconnect", () => process.exit(0))
