/**
 * `ChangeSource` on `pg-logical-replication`: the second driver, for those who have it already or embed it.
 *
 * What the package does by itself is off: no automatic and no timed acknowledgement (it would acknowledge what was
 * received), no flow control (it would pause keepalives), no parsing. Status updates are ours (`SlotReader`); the
 * package adds one to a position, so it is given the position minus one. Hosts and TLS are ours (`SocketStream`),
 * and so are the checks, on a connection of their own.
 *
 * A message is held whole by `pg` before it comes here, whatever its size: `maxFrameBytes` bounds only what is kept.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { LogicalReplicationService } from "pg-logical-replication"
import * as Lsn from "../../../domain/Lsn.ts"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { ChangeSource } from "../../../services/ChangeSource.ts"
import { SourceSettings, type SourceSettingsShape } from "../../../services/Settings.ts"
import { check, type Checked, publicationMissing } from "./Checks.ts"
import { openControl, parseTarget } from "./createSlot.ts"
import * as Liveness from "./Liveness.ts"
import { startCommand } from "./pluginOptions.ts"
import { pinnedParameters, streamParameters } from "./Session.ts"
import { SlotReader } from "./SlotReader.ts"
import { connectionOf, identify, skipsPublication, statusIntervalMs, streamError } from "./SlotSource.ts"
import { SocketStream } from "./SocketStream.ts"
import { ServerError } from "./sourceErrors.ts"

/** The part of `pg`'s client that a plugin of the package is given. */
interface Client {
  readonly processID: number
  query(sql: string): Promise<unknown>
  on(
    event: "notice",
    listener: (notice: { readonly code?: string; readonly routine?: string }) => void
  ): unknown
}

const CLOSE_LIMIT_MS = 2_000
/**
 * The time that the package writes counts from this time, in milliseconds; of the two halves of the field the low
 * one is in milliseconds, too, where microseconds belong.
 */
const PACKAGE_EPOCH_MS = 946_080_000_000
const HIGH_HALF_MS = 4_294_967.296
const POSTGRES_EPOCH_US = 946_684_800_000_000

/** When a status update was sent, ms since 1970, from the `reply_time` (µs since 1970) that the server makes of it. */
export const sentMsOf = (replyUs: number): number => {
  const field = Math.round(replyUs - POSTGRES_EPOCH_US)
  return Math.ceil(Math.floor(field / 2 ** 32) * HIGH_HALF_MS + (field % 2 ** 32) + PACKAGE_EPOCH_MS) + 1
}

/** CopyDone, then Terminate. */
const FAREWELL = Buffer.from([0x63, 0, 0, 0, 4, 0x58, 0, 0, 0, 4])

/** `-c name=value` for each pinned setting, after those of the URL, so that ours hold. */
export const startOptions = (target: ConnectionTarget, timezone?: string): string =>
  [
    ...(target.options === undefined ? [] : [target.options]),
    ...Object.entries({ ...target.parameters, ...streamParameters(timezone) })
      .filter(([name]) => name !== "application_name")
      .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, "\\$&")}`)
  ].join(" ")

const clientConfig = (target: ConnectionTarget, stream: SocketStream, timezone: string | undefined) => ({
  stream: () => stream,
  ssl: false,
  host: target.hosts[0]!.host,
  port: target.hosts[0]!.port,
  user: target.user,
  ...(target.password === undefined ? {} : { password: Redacted.value(target.password) }),
  database: target.database,
  application_name: target.applicationName ?? pinnedParameters["application_name"],
  options: startOptions(target, timezone)
})

/** What `pg` says, in our words: a refusal of the server keeps its fields. */
const causeOf = (cause: unknown): Error => {
  if (!(cause instanceof Error)) return new Error("the connection ended")
  const text = (name: string): string | undefined => {
    const value: unknown = Reflect.get(cause, name)
    return typeof value === "string" ? value : undefined
  }
  return text("severity") === undefined
    ? cause
    : new ServerError({
        code: text("code"),
        message: cause.message,
        detail: text("detail"),
        routine: text("routine")
      })
}

class Connection {
  readonly stream: SocketStream
  readonly service: LogicalReplicationService
  processId = 0
  #batch = 0

  constructor(target: ConnectionTarget, timezone: string | undefined) {
    this.stream = new SocketStream(target)
    this.service = new LogicalReplicationService(clientConfig(target, this.stream, timezone), {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: false }
    })
  }

  sendStatus(position: Lsn.Lsn, askReply: boolean): void {
    void this.service.acknowledge(Lsn.format(Math.max(0, position - 1)), askReply)
  }

  /** The package hands over each message; those of one read are followed by one `batch`. */
  listen(reader: SlotReader): void {
    const read = (bytes: number) => {
      if (this.#batch === 0) {
        queueMicrotask(() => {
          const total = this.#batch
          this.#batch = 0
          if (!reader.batch(total)) this.stream.pause()
        })
      }
      this.#batch += bytes
    }
    const lsnOf = (text: string) => Result.getOrElse(Lsn.parse(text), () => Lsn.zero)
    this.service.on("data", (lsn: string, payload: Buffer) => {
      reader.push(lsnOf(lsn), payload, 0, payload.length)
      read(Math.max(1, payload.length))
    })
    this.service.on("heartbeat", (lsn: string, _time: number, replyAsked: boolean) => {
      reader.keepalive(lsnOf(lsn), replyAsked)
      read(1)
    })
  }

  /** Resolves when the stream has begun. What ends it later, and what keeps it from beginning, goes to `failed`. */
  start(
    settings: SourceSettingsShape,
    checked: Checked,
    startedAt: Lsn.Lsn,
    failed: (cause: Error) => void,
    noticed: (notice: { readonly code?: string; readonly routine?: string }) => void
  ): Promise<void> {
    const plugin = {
      options: {},
      name: checked.plugin,
      parse: (payload: Buffer) => Buffer.from(payload.subarray(0, settings.maxFrameBytes + 1)),
      start: async (client: Client) => {
        this.processId = client.processID
        client.on("notice", noticed)
        if (checked.prepare !== undefined) await client.query(checked.prepare)
        return client.query(startCommand(settings.slotName, startedAt, checked))
      }
    }
    return new Promise((resolve, reject) => {
      const end = (cause: unknown) => {
        const error = causeOf(cause)
        failed(error)
        reject(error)
      }
      this.service.on("start", () => resolve())
      this.service.on("error", end)
      void this.service
        .subscribe(plugin, settings.slotName, Lsn.format(startedAt))
        .then(() => end(new Error("the server ended the stream")), end)
    })
  }

  /** `pg` would cut the line while a query runs, and the last acknowledgement with it: we say goodbye ourselves. */
  async close(): Promise<void> {
    if (!this.stream.destroyed && this.processId !== 0) {
      const closed = new Promise<void>((resolve) => {
        this.stream.once("close", () => resolve())
      })
      const limit = setTimeout(() => this.stream.destroy(), CLOSE_LIMIT_MS)
      this.stream.write(FAREWELL)
      this.stream.resume()
      await closed
      clearTimeout(limit)
    }
    this.destroy()
  }

  destroy(): void {
    this.service.removeAllListeners()
    this.service.on("error", () => {})
    this.stream.destroy()
    void this.service.stop().catch(() => undefined)
  }
}

const start = Effect.fnUntraced(function*(
  settings: SourceSettingsShape,
  target: ConnectionTarget,
  checked: Checked,
  from: Lsn.Lsn
) {
  const startedAt = Math.max(from, checked.confirmedFlush)
  const connection = yield* Effect.acquireRelease(
    Effect.sync(() => new Connection(target, settings.timezone)),
    (connection) => Effect.promise(() => connection.close())
  )
  const reader = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new SlotReader(
          {
            sendStatus: (position, _sentMs, askReply) => connection.sendStatus(position, askReply),
            resume: () => connection.stream.resume()
          },
          {
            confirmed: checked.confirmedFlush,
            readAheadBytes: settings.readAheadBytes,
            silenceMs: settings.silenceMs,
            statusIntervalMs: statusIntervalMs(checked.walSenderTimeoutMs, settings.silenceMs)
          }
        )
    ),
    (reader) => Effect.sync(() => reader.close())
  )
  connection.listen(reader)
  yield* Effect.tryPromise({
    try: () =>
      connection.start(
        settings,
        checked,
        startedAt,
        (cause) => reader.fail(streamError(target, settings.slotName, cause)),
        (notice) => {
          if (skipsPublication(notice)) reader.fail(publicationMissing(settings.slotName, target))
        }
      ),
    catch: (cause) => streamError(target, settings.slotName, causeOf(cause))
  })
  reader.begin()
  yield* Liveness.watch({
    target,
    host: target.hosts[0]!,
    slotName: settings.slotName,
    processId: connection.processId,
    silenceMs: settings.silenceMs,
    endsItself: checked.walSenderTimeoutMs > 0,
    reader,
    sentMsOf,
    destroy: () => connection.destroy()
  })
  return connectionOf(settings, checked, startedAt, reader)
})

export const layer: Layer.Layer<ChangeSource, never, SourceSettings> = Layer.effect(
  ChangeSource,
  Effect.gen(function*() {
    const settings = yield* SourceSettings
    const open = Effect.fn("SlotSourcePglr.open")(function*(from: Lsn.Lsn) {
      const target = yield* parseTarget(settings.url)
      const { checked, host } = yield* Effect.scoped(
        Effect.gen(function*() {
          const session = yield* openControl(target, true)
          return { checked: yield* check(session, settings.slotName, from), host: session.host }
        })
      )
      return yield* start(settings, { ...target, hosts: [host] }, checked, from)
    })
    return ChangeSource.of({ identify: identify(settings), open })
  })
)
