/**
 * Silence is no verdict: a walsender that decodes a rewriting ALTER TABLE neither sends nor reads for minutes. So
 * after a while of it, another connection is asked. Dead is a walsender that is gone, or that waits for us while it
 * has not taken in a status update that was sent long enough ago (`reply_time` is the time inside the newest one
 * that it has read). A dead one is ended there, so that the slot is free.
 *
 * Not ended is one that is stuck in writing to us: told to end, it would try to write that, too, and then its own
 * limit (`wal_sender_timeout`) does not count any more (seen on 15). That limit ends it; without one, we have to.
 *
 * A server that is shut down waits until its walsenders have confirmed all that they sent, for as long as they live
 * (seen on 15): it asks over and over, and lets no other connection in. What is not settled then cannot be before it is
 * back, so the connection is ended.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { HostPort, ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { literal } from "../../../domain/SqlText.ts"
import { SourceError } from "../../../services/ChangeSource.ts"
import { openControl } from "./createSlot.ts"
import * as Session from "./Session.ts"
import type { SlotReader } from "./SlotReader.ts"
import { ServerError } from "./sourceErrors.ts"

/** States in which a walsender reads what we send. */
const WAITS_FOR_US = /^WalSender(Main|WriteData|WaitForWal)$/i
const STUCK_IN_WRITING = "WalSenderWriteData"
const ASK_LIMIT_MS = 10_000
/** How often it is looked whether the server asks over and over, ms. */
const LOOK_MS = 500
/** SQLSTATE cannot_connect_now: with a walsender that lives, the server is being shut down. */
const CANNOT_CONNECT_NOW = "57P03"

/** What another connection sees of our walsender. */
export interface Seen {
  readonly waitEvent: string | null
  /** ms since 1970 by our own clock; 0: it has read none yet; `undefined`: we may not know. */
  readonly replyMs: number | undefined
}

/** `seen`: undefined when the walsender is gone. `sentMs`: a status update that it must have read by now. */
export const isDead = (seen: Seen | undefined, sentMs: number | undefined): boolean => {
  if (seen === undefined) return true
  if (seen.replyMs === undefined || sentMs === undefined) return false
  return WAITS_FOR_US.test(seen.waitEvent ?? "") && seen.replyMs < sentMs
}

export interface Watched {
  readonly target: ConnectionTarget
  readonly host: HostPort
  readonly slotName: string
  /** Of the walsender. */
  readonly processId: number
  readonly silenceMs: number
  readonly reader: SlotReader
  /** `reply_time`, µs since 1970, as the time (ms) at which the status update was sent. */
  readonly sentMsOf: (replyUs: number) => number
  /** The server has a limit (`wal_sender_timeout`) after which it ends the walsender itself. */
  readonly endsItself: boolean
  /** Ends our side. */
  readonly destroy: () => void
}

const askSql = (watched: Watched) => `
  SELECT a.wait_event, r.state, floor(extract(epoch FROM r.reply_time) * 1000000)::text AS reply_us
  FROM pg_replication_slots s
  JOIN pg_stat_activity a ON a.pid = s.active_pid
  LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
  WHERE s.slot_name = ${literal(watched.slotName)} AND s.active_pid = ${watched.processId}`

const endSql = (watched: Watched) => `
  SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
  WHERE slot_name = ${literal(watched.slotName)} AND active_pid = ${watched.processId}`

/** Asks and, where the answer is dead, ends the walsender. Succeeds with what is wrong, if anything is. */
const ask = Effect.fnUntraced(function*(watched: Watched) {
  const session = yield* openControl({ ...watched.target, hosts: [watched.host] }, false)
  const [row] = yield* Session.query(session, askSql(watched))
  const seen: Seen | undefined = row && {
    waitEvent: row["wait_event"] ?? null,
    replyMs:
      typeof row["reply_us"] === "string"
        ? watched.sentMsOf(Number(row["reply_us"]))
        : row["state"] === null
          ? undefined
          : 0
  }
  if (!isDead(seen, watched.reader.statusSentBefore(watched.silenceMs / 2))) return undefined
  if (!watched.endsItself || seen?.waitEvent !== STUCK_IN_WRITING)
    yield* Session.query(session, endSql(watched))
  return seen === undefined ? "its walsender is gone" : "its walsender waits for us and does not hear us"
}, Effect.scoped)

const refusal = (failed: unknown): ServerError | undefined => {
  if (failed instanceof ServerError) return failed
  return failed instanceof SourceError && failed.cause instanceof ServerError ? failed.cause : undefined
}

/** Asked, the server refused (too many connections, …): nothing is known. Not reached at all: nothing is there. */
const verdict = (exit: Exit.Exit<string | undefined, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return exit.value
  const refused = refusal(exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error)
  if (refused === undefined) return "the server cannot be reached by another connection either"
  return refused.fields.code === CANNOT_CONNECT_NOW ? "the server is being shut down" : undefined
}

const lost = (watched: Watched, problem: string) =>
  new SourceError({
    code: "ConnectionLost",
    permanent: false,
    mend: "",
    summary: `Lost the connection that reads slot "${watched.slotName}": ${problem}.`
  })

/** In the background of the scope, until the connection is found dead; then fails its reader. */
export const watch = Effect.fnUntraced(function*(watched: Watched) {
  const { reader, silenceMs } = watched
  while (!reader.failed) {
    const silent = performance.now() - reader.lastSignMs
    const silence = silent >= silenceMs
    if (!silence && !reader.urged) {
      yield* Effect.sleep(Math.min(LOOK_MS, Math.max(50, silenceMs - silent)))
      continue
    }
    reader.calm()
    const problem = verdict(yield* ask(watched).pipe(Effect.timeout(ASK_LIMIT_MS), Effect.exit))
    if (problem === undefined) {
      if (silence) reader.lastSignMs = performance.now()
      continue
    }
    reader.fail(lost(watched, silence ? `no sign of life for ${silenceMs} ms, and ${problem}` : problem))
    watched.destroy()
  }
}, (checking) =>
  checking.pipe(
    Effect.tapCause((cause) => Effect.logError("The check for signs of life ended.", cause)),
    Effect.forkScoped
  ))
