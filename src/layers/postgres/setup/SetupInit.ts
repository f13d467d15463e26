/**
 * `init`, in DESIGN.md's order: schema and triggers, commit; wait for older transactions; identities; publication;
 * slot with its snapshot, and from that the state at which the stream begins; a look at the catalog.
 *
 * Each step that made something puts what takes it back on `undo`; on failure and on interruption that runs, last
 * first. What was there before this call is left as it is.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Plugin } from "../../../services/ChangeSource.ts"
import type { InitOptions, InitReport, SetupError } from "../../../services/Setup.ts"
import * as Probe from "./Probe.ts"
import * as SetupFaults from "./SetupFaults.ts"
import { failure, type Fault, fromSql } from "./SetupErrors.ts"
import * as SetupOids from "./SetupOids.ts"
import { exclusive, type Parts, storedPosition } from "./SetupParts.ts"
import * as SetupSchema from "./SetupSchema.ts"
import * as SetupStart from "./SetupStart.ts"
import * as SetupTables from "./SetupTables.ts"
import * as SetupWait from "./SetupWait.ts"
import * as Slot from "./Slot.ts"
import * as Takeover from "./Takeover.ts"

/** The steps so far, for the next ones. */
export interface Progress {
  readonly parts: Parts
  readonly options: InitOptions
  readonly facts: Probe.Facts
  readonly slot: Exclude<Slot.SlotState, { readonly _tag: "refused" }>
  readonly plugin: Plugin
  readonly seed: Exclude<Takeover.Seed, { readonly _tag: "refused" }>
  readonly notes: Array<string>
  /** What this call made and cannot take back: migrations go forward only. */
  readonly stays: Array<string>
  /** Taken from the end. */
  readonly undo: Array<Undo>
}

export interface Undo {
  readonly what: string
  readonly run: Effect.Effect<void, unknown>
}

const refuse = (fault: Fault) =>
  failure(fault.code, fault.exitCode, `Cannot initialise: ${fault.seen}. Nothing was changed.`, fault.mend)

/** Looks, decides whether this can be done at all, and changes nothing. */
const begin = (parts: Parts, options: InitOptions) =>
  Effect.gen(function*() {
    const facts = yield* Probe.probe(parts.source, parts.settings.slotName)
    const slot = Slot.stateOf(parts.settings.slotName, facts, yield* storedPosition(parts, facts))
    if (slot._tag === "refused") return yield* refuse(slot.fault)
    const plugin = slot._tag === "missing" ? (options.plugin ?? "pgoutput") : slot.plugin
    const fault = SetupFaults.beforeInit(facts, plugin)
    if (fault !== undefined) return yield* refuse(fault)
    const seed = yield* Takeover.look(parts.source, facts)
    if (seed._tag === "refused") return yield* refuse(seed.fault)
    const held = seed._tag === "take" ? Takeover.holder(parts.settings.slotName, facts) : undefined
    if (held !== undefined)
      return yield* refuse({ ...held, seen: `the old program still runs: ${held.seen}` })
    if (slot._tag === "remake" && facts.slot?.active === true)
      return yield* refuse(Slot.inUse(parts.settings.slotName, facts.slot))
    const progress: Progress = { parts, options, facts, slot, plugin, seed, notes: [], stays: [], undo: [] }
    return progress
  }).pipe(
    Effect.catchTag("SqlError", (error) =>
      Effect.fail(fromSql("read the state of the source database")(error))
    )
  )

const takeBack = (progress: Progress): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(progress.undo.toReversed(), (undo) =>
      Effect.match(undo.run, { onFailure: () => [undo.what], onSuccess: (): ReadonlyArray<string> => [] })
    ),
    (left) => left.flat()
  )

/** What could not be taken back is named: the person may have to. */
const withUndo =
  (progress: Progress) =>
  <A>(steps: Effect.Effect<A, SetupError, Scope.Scope>): Effect.Effect<A, SetupError, Scope.Scope> =>
    steps.pipe(
      Effect.onInterrupt(() => takeBack(progress)),
      Effect.catch((error) =>
        Effect.flatMap(Effect.uninterruptible(takeBack(progress)), (left) => {
          const not = [...left, ...progress.stays]
          const end =
            not.length > 0
              ? ` What this call made was taken back, but not: ${not.join(", ")}.`
              : " What this call made was taken back."
          return Effect.fail(
            failure(error.code, error.exitCode, error.summary + end, error.mend, error.cause ?? error)
          )
        })
      )
    )

const steps = (progress: Progress) =>
  Effect.gen(function*() {
    const { parts, options, facts, plugin, notes } = progress
    if (options.plugin !== undefined && options.plugin !== plugin) {
      notes.push(
        `The slot ${parts.settings.slotName} uses ${plugin} and keeps it; --plugin ${options.plugin} is for a slot that is made.`
      )
    }
    const triggers = yield* SetupSchema.make(progress)
    const triggersWereThere = facts.eventTriggers === 2 && facts.registered
    if (!triggersWereThere)
      yield* SetupWait.forOlderTransactions(parts.source, options.waitMs, options.progress)
    yield* SetupTables.cover(progress, triggers)
    const slotCreated = yield* SetupStart.begin(progress)
    yield* SetupOids.register(parts.source, facts, parts.settings.slotName, plugin).pipe(
      Effect.mapError(fromSql("note the stream"))
    )
    const looked = yield* Effect.result(parts.tracker.look())
    if (looked._tag === "Failure")
      notes.push("The first look at the catalog did not succeed; the service looks again when it runs.")
    const mode = SetupFaults.synchronous(facts)
    if (mode !== undefined) notes.push(`${mode.seen}. ${mode.mend}`)
    const report: InitReport = { slotCreated, plugin, notes }
    return report
  })

export const init = (parts: Parts, options: InitOptions): Effect.Effect<InitReport, SetupError> =>
  Effect.gen(function*() {
    yield* exclusive(parts)
    const progress = yield* begin(parts, options)
    return yield* withUndo(progress)(steps(progress))
  }).pipe(Effect.scoped)
