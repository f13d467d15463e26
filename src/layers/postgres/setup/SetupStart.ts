/**
 * Last step of `init`: the slot, and the state at which its stream begins, stored for the first start. What belongs
 * to another or a lost stream starts paused (Clone.ts).
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Lsn from "../../../domain/Lsn.ts"
import * as Stream from "../../../domain/StreamId.ts"
import type { CheckpointError } from "../../../services/Checkpoint.ts"
import type { SetupError } from "../../../services/Setup.ts"
import * as Clone from "./Clone.ts"
import { createSlot } from "../replication/createSlot.ts"
import { failure, fromSql } from "./SetupErrors.ts"
import type { Progress } from "./SetupInit.ts"
import { hereOf, streamOf } from "./SetupParts.ts"
import * as SetupState from "./SetupState.ts"
import * as SetupWait from "./SetupWait.ts"
import * as Slot from "./Slot.ts"
import * as SegmentsToRows from "../store/SegmentsToRows.ts"

/** `Checkpoint` repeats what fails while the store is away; a person waits for `init`. */
const STORE_TIMEOUT_MS = 60_000
/** The person who waits is told after this. */
const REMIND_AFTER_MS = 2_000

const fromStore = (error: CheckpointError | SqlError): SetupError =>
  error._tag === "SqlError"
    ? fromSql("store where the stream begins")(error)
    : failure("DatabaseError", 1, "Cannot store where the stream begins.", "", error)

const waitedTooLong = (slotName: string, waitMs: number, who: string) =>
  failure(
    "OlderTransactions",
    1,
    `Cannot make replication slot ${slotName}: transactions that write were still open after ${Math.round(waitMs / 1000)} s, in this or another database of the server${who === "" ? "" : ` (${who})`}.`,
    "End them, or wait longer:   pgstream init --wait 30m"
  )

/** Makes the slot; its snapshot lives as long as the scope. The server waits for transactions that are writing just now. */
const makeSlot = ({
  parts,
  options,
  plugin,
  slot,
  facts,
  notes,
  undo
}: Progress): Effect.Effect<string, SetupError, Scope.Scope> =>
  Effect.gen(function*() {
    const { slotName } = parts.settings
    if (slot._tag === "remake")
      yield* Effect.mapError(Slot.drop(parts.source, slotName), fromSql(`drop replication slot ${slotName}`))
    const reminder = Effect.sleep(REMIND_AFTER_MS).pipe(
      Effect.andThen(SetupWait.writers(parts.source)),
      Effect.map((who) =>
        options.progress(
          `The slot waits for transactions that write: ${who === "" ? "not shown to this role" : who}`
        )
      )
    )
    const reminding = yield* Effect.forkScoped(reminder)
    const made = yield* createSlot(parts.settings.url, { slotName, plugin }).pipe(
      Effect.mapError((error) =>
        failure(
          error.code,
          error.permanent || error.code === "ConnectionRefused" ? 4 : 1,
          error.summary,
          error.mend,
          error
        )
      ),
      Effect.timeoutOrElse({
        duration: options.waitMs,
        orElse: () =>
          Effect.flatMap(SetupWait.writers(parts.source), (who) =>
            Effect.fail(waitedTooLong(slotName, options.waitMs, who))
          )
      }),
      Effect.ensuring(Fiber.interrupt(reminding))
    )
    undo.push({ what: `replication slot ${slotName}`, run: Slot.drop(parts.source, slotName) })
    if (slot._tag === "remake" && facts.slot !== undefined) {
      notes.push(
        `Made again: ${slot.fault.seen} (${slot.fault.code}); ${Slot.stretch(facts.slot, facts.slot.ahead, Lsn.format(made.consistentPoint))}.`
      )
    }
    return made.snapshotName
  })

/** Which endpoints this call may not let loose, and why. */
const suspects = (progress: Progress) =>
  Effect.gen(function*() {
    const { parts, facts, slot, seed } = progress
    const here = hereOf(parts, facts)
    if (slot._tag === "missing") {
      if (seed._tag === "take") {
        return {
          endpoints: yield* Clone.all(parts.store),
          why: `The old program's slot ${parts.settings.slotName} is not in this database.`
        }
      }
      return {
        endpoints: yield* Clone.foreign(parts.store, here.live),
        why: "They belong to another stream, or to one whose slot is lost."
      }
    }
    const addresses = yield* Clone.moved(parts.store, here)
    return addresses === undefined
      ? { endpoints: [], why: "" }
      : {
          endpoints: yield* Clone.all(parts.store),
          why: `The stream was read from ${addresses.join(", ")} before, now from ${here.addresses.join(", ")}.`
        }
  })

const stored = ({ parts, facts }: Progress): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    parts.store`SELECT 1 FROM pgstream.checkpoint WHERE stream = ${Stream.format(streamOf(parts, facts))}`,
    (rows) => rows.length > 0
  )

/** One transaction: a state that is stored has its endpoints paused. */
const store = (
  progress: Progress,
  state: SetupState.StartState | undefined
): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const { parts, facts, options, notes } = progress
    const here = hereOf(parts, facts)
    const suspicious = yield* suspects(progress)
    if (state !== undefined) {
      yield* parts.checkpoint.reset({
        stream: here.stream,
        position: Lsn.zero,
        counts: new Map(),
        versions: "",
        shapes: state.shapes,
        definitions: state.definitions ?? (yield* SetupState.readDefinitions(parts.store))
      })
    }
    yield* Clone.remember(parts.store, here)
    if (options.adopt) {
      const adopted = yield* Clone.adopt(parts.store, here, progress.slot._tag === "missing")
      const streams = adopted.streams.length === 0 ? "" : ` of ${adopted.streams.join(", ")}`
      if (suspicious.endpoints.length > 0 || adopted.resumed > 0 || adopted.streams.length > 0) {
        notes.push(
          `Adopted: ${Math.max(suspicious.endpoints.length, adopted.resumed)} endpoints, ${adopted.parked} parked deliveries${streams}.`
        )
      }
      return
    }
    yield* Clone.pause(parts.store, here.stream, suspicious.endpoints, suspicious.why)
    if (suspicious.endpoints.length > 0) {
      notes.push(
        `${suspicious.endpoints.length} endpoints start paused: ${Clone.names(suspicious.endpoints)}. ${suspicious.why} ${Clone.RESUME}`
      )
    }
  }).pipe(
    progress.parts.store.withTransaction,
    Effect.mapError(fromStore),
    Effect.timeoutOrElse({
      duration: STORE_TIMEOUT_MS,
      orElse: () =>
        Effect.fail(
          failure(
            "StoreUnavailable",
            1,
            "Cannot store where the stream begins: the store did not answer.",
            "Run init again when the store is up."
          )
        )
    })
  )

/** What waits in segments of the streams that are adopted: as rows, which `adopt` re-keys. */
const rowsOfSegments = ({ facts, parts, slot }: Progress): Effect.Effect<void, SetupError> =>
  Effect.gen(function*() {
    const streams = yield* Clone.withSegments(parts.store, hereOf(parts, facts), slot._tag === "missing")
    yield* SegmentsToRows.move(parts.store, parts.secrets, streams)
  }).pipe(Effect.mapError((error) =>
    error._tag === "SqlError" ? fromStore(error) : failure(
      "DatabaseError", 1, `Cannot move what waits in segments of the streams that are adopted: ${describe(error.cause)}`,
      "Run init --adopt again; it goes on where it stopped."
    )))

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : "the store refused it.")

/** Answers whether a slot was made. */
export const begin = (progress: Progress): Effect.Effect<boolean, SetupError, Scope.Scope> =>
  Effect.gen(function*() {
    const { parts, slot, undo, facts } = progress
    const make = slot._tag !== "usable"
    const snapshot = make ? yield* makeSlot(progress) : undefined
    const fresh = make || !(yield* Effect.mapError(stored(progress), fromStore))
    const state = fresh
      ? yield* Effect.mapError(
          SetupState.read(parts.source, snapshot, parts.storeInSource),
          fromSql("read the tables as they are where the stream begins")
        )
      : undefined
    if (fresh)
      undo.push({
        what: "the stored state of the stream",
        run: Clone.forget(parts.store, [Stream.format(streamOf(parts, facts))])
      })
    if (progress.options.adopt) yield* rowsOfSegments(progress)
    yield* store(progress, state)
    return make
  })
