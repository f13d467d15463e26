/**
 * `ChangeSource` on a connection of our own: the default driver.
 *
 * Frames are walked in the memory that the socket was read into, without a copy; see `MessageReader` and
 * `SlotReader`. docs/adr/0003 has the reasons and the measured numbers.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import type { Lsn } from "../../../domain/Lsn.ts"
import { ChangeSource, type SourceConnection, SourceError } from "../../../services/ChangeSource.ts"
import { SourceSettings, type SourceSettingsShape } from "../../../services/Settings.ts"
import { pluginNotAllowed } from "./allowPlugin.ts"
import { check, type Checked, publicationMissing, slotMissing } from "./Checks.ts"
import { identifySystem, parseTarget } from "./createSlot.ts"
import * as Liveness from "./Liveness.ts"
import { startCommand } from "./pluginOptions.ts"
import * as Session from "./Session.ts"
import { encodeStatus, SlotReader } from "./SlotReader.ts"
import { fromCause, ServerError, type ServerFields } from "./sourceErrors.ts"

/** At least this often the server hears of us, whatever its own limit is. */
const MAX_STATUS_INTERVAL_MS = 10_000
const MIN_STATUS_INTERVAL_MS = 50
/** XLogData's own header: kind, start, end, time. */
const XLOG_HEADER_BYTES = 25

/** A third of the server's limit, and of what we call silence. */
export const statusIntervalMs = (walSenderTimeoutMs: number, silenceMs: number): number => {
  const limits = [
    MAX_STATUS_INTERVAL_MS,
    silenceMs / 3,
    ...(walSenderTimeoutMs > 0 ? [walSenderTimeoutMs / 3] : [])
  ]
  return Math.max(MIN_STATUS_INTERVAL_MS, Math.min(...limits))
}

/** 18 only warns about a publication that is not there, and hands out nothing. By routine: the text is translated. */
export const skipsPublication = (fields: ServerFields): boolean =>
  fields.code === "55000" && fields.routine === "LoadPublications"

/** What ended a stream, as an error of the source. */
export const streamError = (target: ConnectionTarget, slotName: string, cause: Error): SourceError => {
  if (!(cause instanceof ServerError)) return fromCause(target, cause)
  const code = cause.fields.code ?? ""
  if (code === "42704") {
    return cause.fields.routine?.startsWith("ReplicationSlot") === true
      ? slotMissing(slotName, target.database)
      : publicationMissing(slotName, target)
  }
  if (code === "42501" && /output plugin/.test(cause.message))
    return pluginNotAllowed(target, "wal2json", "'pgoutput', 'test_decoding', 'wal2json'", cause)
  if (code === "55006") {
    return new SourceError({
      code: "SlotInUse",
      permanent: false,
      summary: `Cannot read replication slot "${slotName}": ${cause.message}`,
      mend: "Stop the process that holds it, or use another slot: --replication-slot <name>",
      cause
    })
  }
  if (
    code === "55000" &&
    cause.fields.routine !== undefined &&
    /Slot|Decoding/.test(cause.fields.routine)
  ) {
    return new SourceError({
      code: "SlotInvalidated",
      permanent: true,
      summary: `Cannot read replication slot "${slotName}": ${cause.message}`,
      mend: `Make it again: pgstream destroy --replication-slot ${slotName} && pgstream init --replication-slot ${slotName}`,
      cause
    })
  }
  return fromCause(target, cause)
}

/** The stream's side of `SourceConnection`, the same for both drivers. */
export const connectionOf = (
  settings: SourceSettingsShape,
  checked: Checked,
  startedAt: Lsn,
  reader: SlotReader
): SourceConnection => ({
  stream: { systemIdentifier: checked.system.systemIdentifier, slotName: settings.slotName },
  plugin: checked.plugin,
  startedAt,
  serverVersion: checked.serverVersion,
  timeline: checked.system.timeline,
  read: reader.read,
  acknowledge: (position) => reader.acknowledge(position)
})

export const identify = (settings: SourceSettingsShape) =>
  identifySystem(settings.url).pipe(
    Effect.map(({ systemIdentifier }) => ({ systemIdentifier, slotName: settings.slotName }))
  )

const start = Effect.fnUntraced(function*(
  settings: SourceSettingsShape,
  session: Session.Session,
  checked: Checked,
  from: Lsn
) {
  const startedAt = Math.max(from, checked.confirmedFlush)
  const wire = {
    sendStatus: (position: Lsn, sentMs: number, askReply: boolean) => {
      session.sendCopyData(encodeStatus(position, sentMs, askReply))
    },
    hold: () => session.hold(),
    resume: () => session.resume()
  }
  const reader = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new SlotReader(wire, {
          confirmed: checked.confirmedFlush,
          readAheadBytes: settings.readAheadBytes,
          silenceMs: settings.silenceMs,
          statusIntervalMs: statusIntervalMs(checked.walSenderTimeoutMs, settings.silenceMs)
        })
    ),
    (reader) => Effect.sync(() => reader.close())
  )
  const fail = (cause: Error) => reader.fail(streamError(session.target, settings.slotName, cause))
  yield* Effect.tryPromise({
    try: () =>
      session.query(startCommand(settings.slotName, startedAt, checked), {
        data: (bytes, start, end) => reader.data(bytes, start, end),
        batch: (bytesRead) => reader.batch(bytesRead),
        failed: fail,
        notice: (fields) => {
          if (skipsPublication(fields)) reader.fail(publicationMissing(settings.slotName, session.target))
        }
      }),
    catch: (cause) =>
      streamError(session.target, settings.slotName, cause instanceof Error ? cause : new Error("unknown"))
  })
  reader.begin()
  yield* Liveness.watch({
    target: session.target,
    host: session.host,
    slotName: settings.slotName,
    processId: session.processId,
    silenceMs: settings.silenceMs,
    endsItself: checked.walSenderTimeoutMs > 0,
    reader,
    sentMsOf: (replyUs) => Math.floor(replyUs / 1000),
    destroy: () => session.destroy()
  })
  return connectionOf(settings, checked, startedAt, reader)
})

export const layer: Layer.Layer<ChangeSource, never, SourceSettings> = Layer.effect(
  ChangeSource,
  Effect.gen(function*() {
    const settings = yield* SourceSettings
    const open = Effect.fn("SlotSource.open")(function*(from: Lsn) {
      const target = yield* parseTarget(settings.url)
      const session = yield* Session.open(target, {
        replication: true,
        maxBodyBytes: XLOG_HEADER_BYTES + settings.maxFrameBytes + 1,
        parameters: Session.streamParameters(settings.timezone)
      })
      const checked = yield* check(session, settings.slotName, from)
      return yield* start(settings, session, checked, from)
    })
    return ChangeSource.of({ identify: identify(settings), open })
  })
)
