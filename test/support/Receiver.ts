/**
 * A webhook receiver for tests: answers as its script says, and records what came: which event was accepted first and
 * when, what came again, how many requests were in flight at once, in all and of one key.
 *
 * Accepted means: the receiver took it for its own. A lost reply is accepted, too, though the sender never hears of it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface ReceivedColumn {
  readonly name: string
  readonly value: unknown
}

export interface ReceivedData {
  readonly action: string
  readonly schema: string
  readonly table: string
  readonly lsn: string
  readonly columns: ReadonlyArray<ReceivedColumn> | null
  readonly identity: ReadonlyArray<ReceivedColumn> | null
}

export interface Received {
  readonly id: string
  readonly endpoint: string
  readonly epoch: string
  readonly sequence: number
  readonly authorization: string | undefined
  readonly body: string
  readonly data: ReceivedData
  /** How often this event came before. */
  readonly before: number
  /** `Date.now()` when it was whole. */
  readonly atMs: number
}

/** `hang`: never answers. `refuse`: closes the connection, not taken. `loseReply`: takes it and closes the connection. */
export type Answer =
  | { readonly status: number; readonly delayMs?: number; readonly headers?: Readonly<Record<string, string>> }
  | "hang" | "refuse" | "loseReply"

export interface ReceiverOptions {
  readonly port?: number
  readonly answer?: (received: Received) => Answer
  /** Default: schema, table, and the value of column `id` (of the identity when there are no columns). */
  readonly keyOf?: (data: ReceivedData) => string
}

export const valueOf = (columns: ReadonlyArray<ReceivedColumn> | null, name: string): unknown =>
  columns?.find((column) => column.name === name)?.value

export const rowKey = (data: ReceivedData): string =>
  JSON.stringify([data.schema, data.table, valueOf(data.columns, "id") ?? valueOf(data.identity, "id")])

const OK: Answer = { status: 200 }

export class Receiver {
  /** Events in the order of their first acceptance. */
  readonly accepted = new Map<string, Received>()
  /** Every request that was whole, in the order of arrival. */
  readonly requests: Array<Received> = []
  /** Two bodies under one id, an event without an id, …: what must never be. */
  readonly problems: Array<string> = []
  maxInFlight = 0
  maxInFlightOfOneKey = 0
  inFlight = 0
  answer: (received: Received) => Answer
  readonly #keyOf: (data: ReceivedData) => string
  readonly #counts = new Map<string, number>()
  readonly #bodies = new Map<string, string>()
  readonly #keysInFlight = new Map<string, number>()
  readonly #server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => this.#read(request, response))

  constructor(options: ReceiverOptions) {
    this.answer = options.answer ?? (() => OK)
    this.#keyOf = options.keyOf ?? rowKey
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(port, "127.0.0.1", resolve)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/webhook`
  }

  get bodies(): ReadonlyArray<ReceivedData> {
    return [...this.accepted.values()].map((received) => received.data)
  }

  /** Values of a column of the accepted events, in order. */
  values(column: string, table?: string): ReadonlyArray<unknown> {
    return this.bodies.filter((data) => table === undefined || data.table === table)
      .map((data) => valueOf(data.columns, column) ?? valueOf(data.identity, column))
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("error", () => undefined)
    request.on("end", () => this.#take(request, response, Buffer.concat(parts).toString("utf8")))
  }

  #take(request: IncomingMessage, response: ServerResponse, body: string): void {
    const header = (name: string) => String(request.headers[name] ?? "")
    const { Data: data } = JSON.parse(body) as { readonly Data: ReceivedData }
    const id = header("webhook-id")
    const received: Received = {
      id, body, data, endpoint: header("webhook-endpoint"), epoch: header("webhook-epoch"),
      sequence: Number(header("webhook-sequence") || "0"), authorization: request.headers.authorization,
      before: this.#counts.get(id) ?? 0, atMs: Date.now()
    }
    this.#counts.set(id, received.before + 1)
    this.requests.push(received)
    this.#check(received)
    this.#follow(this.#keyOf(data), response)
    this.#reply(received, response)
  }

  #check({ body, id, sequence }: Received): void {
    if (id === "") this.problems.push(`an event without webhook-id: ${body.slice(0, 200)}`)
    const known = this.#bodies.get(id)
    if (known !== undefined && known !== body) this.problems.push(`${id} came with two bodies: ${known} and ${body}`)
    this.#bodies.set(id, body)
    if (!(sequence > 0)) this.problems.push(`${id} has no webhook-sequence`)
  }

  #follow(key: string, response: ServerResponse): void {
    const ofKey = (this.#keysInFlight.get(key) ?? 0) + 1
    this.#keysInFlight.set(key, ofKey)
    this.inFlight++
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight)
    this.maxInFlightOfOneKey = Math.max(this.maxInFlightOfOneKey, ofKey)
    let open = true
    const end = () => {
      if (!open) return
      open = false
      this.inFlight--
      this.#keysInFlight.set(key, this.#keysInFlight.get(key)! - 1)
    }
    // The sender hears of the answer no sooner than `end` hands it to the socket: then it is not in flight any more.
    response.once("prefinish", end).once("close", end)
  }

  #reply(received: Received, response: ServerResponse): void {
    const answer = this.answer(received)
    if (answer === "hang") return
    if (answer === "refuse" || answer === "loseReply") {
      if (answer === "loseReply") this.#accept(received)
      response.destroy()
      return
    }
    const send = () => {
      if (answer.status >= 200 && answer.status < 300) this.#accept(received)
      response.writeHead(answer.status, answer.headers).end()
    }
    if (answer.delayMs === undefined) send()
    else setTimeout(send, answer.delayMs)
  }

  #accept(received: Received): void {
    if (!this.accepted.has(received.id)) this.accepted.set(received.id, received)
  }
}

export const startReceiver = async (options: ReceiverOptions = {}): Promise<Receiver> => {
  const receiver = new Receiver(options)
  await receiver.listen(options.port)
  return receiver
}
