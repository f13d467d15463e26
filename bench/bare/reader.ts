/**
 * Bare readers of a slot: our connection and decoder, and nothing else: no order, no store, no Effect an event.
 *
 * `MODE`: `decode` (nobody subscribed), `body` (and the body of each change), `post` (and `Pool.request` of it, as soon as it
 * is there, until the process is ended). `URL`, `SLOT`, `EVENTS`, `TARGET` (post), `CONNECTIONS` (post). Prints
 * `{ eventsPerSecond, cpuUs }`, but for `post`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Pool } from "undici"
import { BodyWriter } from "../../src/domain/Body.ts"
import type { Change } from "../../src/domain/Change.ts"
import type { Item } from "../../src/domain/Chunk.ts"
import * as Decoder from "../../src/domain/Decoder.ts"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import { ChangeSource } from "../../src/services/ChangeSource.ts"
import { SourceSettings } from "../../src/services/Settings.ts"

const MAX_FRAME_BYTES = 256 * 1024 * 1024
const mode = process.env["MODE"]!
/** `post` goes on until it is ended. */
const events = mode === "post" ? Number.POSITIVE_INFINITY : Number(process.env["EVENTS"])
const target = new URL(process.env["TARGET"] ?? "http://127.0.0.1/")

const settings = Layer.succeed(SourceSettings, {
  url: Redacted.make(process.env["URL"]!), slotName: process.env["SLOT"]!, driver: "socket", maxFrameBytes: MAX_FRAME_BYTES,
  readAheadBytes: 8 * 1024 * 1024, backoffInitialMs: 500, backoffMaxMs: 30_000, silenceMs: 30_000
})

const pool = new Pool(target.origin, { connections: Number(process.env["CONNECTIONS"] ?? 64), pipelining: 1 })
const headers = ["content-type", "application/json"]
const post = (body: Uint8Array): void => {
  pool.request({ path: target.pathname, method: "POST", headers, body }).then((answer) => answer.body.dump()).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  })
}

const writer = new BodyWriter()
let bytes = 0
const use: (change: Change) => void = mode === "post" ? (change) => post(writer.write(change)) : mode === "body" ? (change) => { bytes += writer.write(change).length } : () => {}

/** Rows of this chunk. */
const work = (items: ReadonlyArray<Item>): number => {
  let changes = 0
  for (const item of items) {
    if (item._tag !== "Change") continue
    changes++
    use(item)
  }
  return changes
}

const read = Effect.gen(function*() {
  const connection = yield* (yield* ChangeSource).open(0)
  const decoder = Decoder.make(connection.plugin, { maxFrameBytes: MAX_FRAME_BYTES })
  let [seen, began, cpu] = [0, 0, process.cpuUsage()]
  while (seen < events) {
    const { frames } = yield* connection.read
    if (began === 0) [began, cpu] = [performance.now(), process.cpuUsage()]
    const items: Array<Item> = []
    for (const frame of frames) decoder.push(frame, items)
    seen += work(items)
  }
  const used = process.cpuUsage(cpu)
  return { eventsPerSecond: seen / ((performance.now() - began) / 1_000), cpuUs: (used.user + used.system) / seen, bodyBytes: bytes / seen }
})

const found = await Effect.runPromise(read.pipe(Effect.scoped, Effect.provide(SlotSource.layer), Effect.provide(settings)))
process.stdout.write(JSON.stringify(found))
await pool.close()
