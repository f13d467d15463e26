/**
 * One connection in the Postgres protocol, as a walsender's (`replication`) or a plain one: authentication, the
 * simple query protocol with values as text, and copy mode, in which messages are handed over as they are read.
 *
 * Plain callbacks inside; `open` is the way in from Effect.
 */
import { PgProtocol } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type * as Net from "node:net"
import type { ConnectionTarget, HostPort } from "../../../domain/PostgresUrl.ts"
import type { Slab } from "../../../domain/Slabs.ts"
import type { SourceError } from "../../../services/ChangeSource.ts"
import { Authentication } from "./Authentication.ts"
import { MessageReader, type MessageHandlers } from "./MessageReader.ts"
import { openSocket } from "./openSocket.ts"
import { fromCause, ServerError, type ServerFields } from "./sourceErrors.ts"

/** A row of a simple query: values as text, by column name. */
export type Row = Readonly<Record<string, string | null>>

export interface SessionOptions {
  readonly replication: boolean
  /** The longest message body that is kept whole, bytes. */
  readonly maxBodyBytes: number
  /** Whole settings of the start packet, after those of the target. */
  readonly parameters: Readonly<Record<string, string>>
}

export interface CopyHandlers {
  /** Body of a CopyData message, `bytes[start … end)`. */
  readonly data: (bytes: Buffer, start: number, end: number) => void
  readonly notice: (fields: ServerFields) => void
  /** All of one read was handed over. `false` pauses the socket. */
  readonly batch: (bytesRead: number) => boolean
  /** The connection or the copy ended; called once. */
  readonly failed: (cause: Error) => void
}

const COPY_DATA = 0x64
const DATA_ROW = 0x44
const COPY_DONE = 0x63
const QUERY = 0x51
const CLOSE_LIMIT_MS = 2_000
const encoder = new TextEncoder()

const frame = (type: number, body: Uint8Array): Buffer => {
  const bytes = Buffer.allocUnsafe(5 + body.length)
  bytes[0] = type
  bytes.writeUInt32BE(4 + body.length, 1)
  bytes.set(body, 5)
  return bytes
}

/** Body of a DataRow message, `bytes[start … end)`: memory that is not written to again. */
export type RowHandler = (bytes: Buffer, start: number, end: number) => void

interface Pending {
  readonly rows: Array<Row>
  readonly copy: CopyHandlers | undefined
  /** Takes the rows of the statements as they are. */
  readonly raw?: RowHandler | undefined
  names: ReadonlyArray<string>
  error: ServerError | undefined
  readonly done: (rows: ReadonlyArray<Row>) => void
  readonly fail: (cause: Error) => void
}

export class Session {
  readonly target: ConnectionTarget
  host!: HostPort
  encrypted = false
  processId = 0
  #secret = 0
  readonly #reader: MessageReader
  readonly #parser = PgProtocol.makeParser()
  #socket: Net.Socket | undefined
  #pending: Pending | undefined
  #copy: CopyHandlers | undefined
  #authentication: Authentication | undefined
  #dead: Error | undefined

  private constructor(target: ConnectionTarget, options: SessionOptions) {
    this.target = target
    const handlers: MessageHandlers = {
      message: (type, bytes, start, end) => {
        if (this.#dead !== undefined) return
        if (type === COPY_DATA && this.#copy !== undefined) this.#copy.data(bytes, start, end)
        else if (type === DATA_ROW && this.#pending?.raw !== undefined) this.#pending.raw(bytes, start, end)
        else this.#other(type, bytes.subarray(start, end))
      },
      batch: (bytesRead) => this.#copy?.batch(bytesRead) ?? true,
      corrupt: (problem) => this.#end(new Error(problem))
    }
    this.#reader = new MessageReader(options.maxBodyBytes, handlers)
  }

  static async connect(
    target: ConnectionTarget,
    options: SessionOptions,
    signal: AbortSignal
  ): Promise<Session> {
    const session = new Session(target, options)
    const { socket, host, encrypted } = await openSocket(target, session.#reader, signal)
    session.#socket = socket
    session.host = host
    session.encrypted = encrypted
    const abort = () => session.#end(new Error("interrupted"))
    signal.addEventListener("abort", abort)
    const late = setTimeout(
      () =>
        session.#end(new Error(`the server did not let us in within ${target.connectTimeoutSeconds} s`)),
      target.connectTimeoutSeconds * 1000
    )
    try {
      await new Promise<void>((resolve, reject) => {
        session.#pending = {
          rows: [],
          names: [],
          copy: undefined,
          error: undefined,
          done: () => resolve(),
          fail: reject
        }
        session.#start(options)
      })
    } finally {
      clearTimeout(late)
      signal.removeEventListener("abort", abort)
    }
    return session
  }

  #start(options: SessionOptions): void {
    const socket = this.#socket!
    const target = this.target
    this.#authentication = new Authentication(
      target,
      (bytes) => socket.write(bytes),
      (error) => this.#end(error)
    )
    socket.on("data", (chunk: Buffer) => {
      if (!this.#reader.push(chunk)) socket.pause()
    })
    socket.on("error", (error) => this.#end(error))
    socket.on("close", () => this.#end(new Error("the connection was closed")))
    socket.on("end", () => this.#end(new Error("the server closed the connection")))
    socket.resume()
    socket.write(
      PgProtocol.encodeStartupMessage({
        ...target.parameters,
        ...options.parameters,
        user: target.user,
        database: target.database,
        application_name: target.applicationName ?? options.parameters["application_name"],
        options: target.options,
        replication: options.replication ? "database" : undefined
      })
    )
  }

  /** Runs one statement or replication command. Rejects with a `ServerError`, or the loss of the connection. */
  query(sql: string, copy?: CopyHandlers, raw?: RowHandler): Promise<ReadonlyArray<Row>> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== undefined) return reject(this.#dead)
      if (this.#pending !== undefined || this.#copy !== undefined)
        return reject(new Error("the session is busy"))
      this.#pending = { rows: [], names: [], copy, raw, error: undefined, done: resolve, fail: reject }
      this.#socket!.write(frame(QUERY, encoder.encode(`${sql}\0`)))
      return undefined
    })
  }

  /** Sends `body` as CopyData. False once the connection is gone. */
  sendCopyData(body: Uint8Array): boolean {
    if (this.#dead !== undefined) return false
    this.#socket!.write(frame(COPY_DATA, body))
    return true
  }

  /** The memory of the message that is being handed over, held: it is used again once it was released. */
  hold(): Slab {
    const { slab } = this.#reader
    slab.hold()
    return slab
  }

  resume(): void {
    this.#socket?.resume()
  }

  #other(type: number, body: Uint8Array): void {
    let message: PgProtocol.BackendMessage
    try {
      message = this.#parser.push(frame(type, body))[0]!
    } catch (cause) {
      return this.#end(new Error("a message could not be read", { cause }))
    }
    switch (message._tag) {
      case "ErrorResponse": {
        const error = new ServerError(message.fields)
        if (this.#copy !== undefined || this.#pending === undefined || this.#authentication !== undefined)
          this.#end(error)
        else this.#pending.error ??= error
        return
      }
      case "NoticeResponse":
        return this.#copy?.notice(message.fields)
      case "BackendKeyData":
        this.processId = message.pid
        this.#secret = message.secret
        return
      case "RowDescription":
        if (this.#pending !== undefined) this.#pending.names = message.fields.map(({ name }) => name)
        return
      case "DataRow":
        return this.#row(message.values)
      case "CopyBothResponse":
        return this.#copyStarted()
      case "CopyDone":
      case "CommandComplete":
        if (this.#copy !== undefined) this.#end(new Error("the server ended the stream"))
        return
      case "ReadyForQuery":
        return this.#ready()
      default:
        this.#authentication?.answer(message)
    }
  }

  #row(values: ReadonlyArray<Uint8Array | null>): void {
    const pending = this.#pending
    if (pending === undefined) return
    pending.rows.push(
      Object.fromEntries(
        pending.names.map((name, index) => {
          const value = values[index]
          return [name, value === null || value === undefined ? null : Buffer.from(value).toString("utf8")]
        })
      )
    )
  }

  #copyStarted(): void {
    const pending = this.#pending
    if (pending?.copy === undefined) return this.#end(new Error("the server began to copy unasked"))
    this.#pending = undefined
    this.#copy = pending.copy
    pending.done([])
  }

  #ready(): void {
    const pending = this.#pending
    this.#authentication = undefined
    this.#pending = undefined
    if (pending === undefined) return
    if (pending.error !== undefined) pending.fail(pending.error)
    else pending.done(pending.rows)
  }

  #end(cause: Error): void {
    if (this.#dead !== undefined) return
    this.#dead = cause
    const pending = this.#pending
    const copy = this.#copy
    this.#pending = undefined
    this.#copy = undefined
    this.#socket?.destroy()
    pending?.fail(cause)
    copy?.failed(cause)
  }

  /** It can be asked once more. */
  get usable(): boolean {
    return this.#dead === undefined && this.#pending === undefined && this.#copy === undefined
  }

  /** Asks the server, over a socket of its own, to cancel what this session runs. Never rejects. */
  async cancel(): Promise<void> {
    try {
      const { socket } = await openSocket(
        { ...this.target, hosts: [this.host] },
        undefined,
        AbortSignal.timeout(CLOSE_LIMIT_MS)
      )
      const closed = new Promise<void>((resolve) => {
        socket.once("close", () => resolve())
      })
      socket.on("error", () => socket.destroy())
      socket.setTimeout(CLOSE_LIMIT_MS, () => socket.destroy())
      socket.end(PgProtocol.encodeCancelRequest({ pid: this.processId, secret: this.#secret }))
      socket.resume()
      await closed
    } catch {
      this.destroy()
    }
  }

  /** Ends the connection in an orderly way, waiting at most two seconds until the server has closed it. */
  async close(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || this.#dead !== undefined) return
    const copying = this.#copy !== undefined
    this.#dead = new Error("the connection was closed")
    this.#copy = undefined
    const limit = setTimeout(() => socket.destroy(), CLOSE_LIMIT_MS)
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => resolve())
    })
    if (copying) socket.write(frame(COPY_DONE, new Uint8Array(0)))
    socket.end(PgProtocol.encodeTerminate())
    socket.resume()
    await closed
    clearTimeout(limit)
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#end(new Error("the connection was closed"))
  }
}

/** What each of our sessions pins, so that a user's ALTER DATABASE or ALTER ROLE never changes what we read. */
export const pinnedParameters: Readonly<Record<string, string>> = {
  application_name: "pgstream",
  datestyle: "ISO",
  intervalstyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "1",
  timezone: "UTC",
  lc_monetary: "C",
  client_min_messages: "notice",
  search_path: "public",
  synchronous_commit: "local",
  statement_timeout: "0",
  lock_timeout: "0"
}

/** The same for a session that streams: its zone is a setting of ours. */
export const streamParameters = (timezone: string | undefined): Readonly<Record<string, string>> =>
  timezone === undefined ? pinnedParameters : { ...pinnedParameters, timezone }

/** A session that is closed with its scope. */
export const open = (target: ConnectionTarget, options: SessionOptions) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: (signal) => Session.connect(target, options, signal),
      catch: (cause): SourceError => fromCause(target, cause)
    }),
    (session) => Effect.promise(() => session.close()),
    { interruptible: true }
  )

/** Runs `sql`; a refusal of the server keeps its fields. */
export const query = (session: Session, sql: string) =>
  Effect.tryPromise({
    try: () => session.query(sql),
    catch: (cause) => (cause instanceof ServerError ? cause : fromCause(session.target, cause))
  })
