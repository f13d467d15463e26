/**
 * Carries out what an operator ordered about deliveries (`DeliveryCommands`), in the process that reads the stream: the
 * Notifier of that process knows what waits in memory, and takes part (`LiveDeliveries`). One command after another, in
 * small steps; each step is remembered, and may be done again after a kill.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StreamId } from "../../domain/StreamId.ts"
import type { Command, Progress } from "../../services/DeliveryCommands.ts"
import { Listener } from "../../services/Listener.ts"
import { type CommandParts, partsOf, Stopped } from "./commands/Parts.ts"
import * as Purge from "./commands/Purge.ts"
import * as Replay from "./commands/Replay.ts"
import * as Retry from "./commands/Retry.ts"

/** How often it looks for a command. */
const EVERY = Duration.seconds(1)
/** Pause after a failure that may pass. */
const AFTER_FAILURE = Duration.seconds(5)

const isPassing = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "unavailable" in error && error.unavailable === true

/** Another process reads the stream: it goes on with the command. */
const isTakenOver = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "takenOver" in error && error.takenOver === true

const textOf = (error: unknown): string => (typeof error === "string" ? error : error instanceof Error ? error.message || error.name : "a fault of its own")

const work = (parts: CommandParts, command: Command): Effect.Effect<Progress, unknown> => {
  if (command.kind === "purge") return Purge.run(parts, command)
  return command.kind === "retry" ? Retry.run(parts, command) : Replay.run(parts, command)
}

/** What can pass is tried again from where it was; what cannot ends the command, with the reason. */
const carryOut = Effect.fnUntraced(function*(parts: CommandParts, command: Command) {
  yield* Effect.logInfo("Carrying out a command.").pipe(
    Effect.annotateLogs({ command: command.id, kind: command.kind, done: command.done })
  )
  const result = yield* Effect.result(work(parts, command))
  if (result._tag === "Success") {
    yield* parts.commands.end(parts.stream, command.id, "done", result.success)
    yield* Effect.logInfo("A command is done.").pipe(
      Effect.annotateLogs({ command: command.id, kind: command.kind, done: result.success.done, skipped: result.success.skipped })
    )
    return
  }
  const error = result.failure
  if (error instanceof Stopped || isTakenOver(error)) return
  if (isPassing(error)) return yield* Effect.fail(error)
  const now = yield* parts.commands.get(parts.stream, command.id)
  const { done, skipped } = now ?? command
  yield* Effect.logWarning("A command failed.").pipe(Effect.annotateLogs({ command: command.id, kind: command.kind, reason: textOf(error) }))
  yield* parts.commands.end(parts.stream, command.id, "failed", { place: undefined, done, skipped, note: textOf(error) })
})

/** Never ends by itself. */
export const loop = Effect.fnUntraced(function*(stream: StreamId) {
  const parts = yield* partsOf(stream)
  const step = Effect.flatMap(parts.commands.next(stream), (command) =>
    command === undefined ? Effect.sleep(EVERY) : carryOut(parts, command))
  return yield* step.pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.logDebug("Commands wait for the store.").pipe(
          Effect.annotateLogs({ seen: textOf(Cause.squash(cause)) }), Effect.andThen(Effect.sleep(AFTER_FAILURE))
        )),
    Effect.forever
  )
})

type Requirements = Effect.Services<ReturnType<typeof loop>> | Listener

export const layer: Layer.Layer<never, never, Requirements> = Layer.effectDiscard(
  Effect.gen(function*() {
    const listener = yield* Listener
    const identified = listener.identify.pipe(Effect.tapError(() => Effect.sleep(AFTER_FAILURE)), Effect.eventually)
    yield* Effect.forkScoped(Effect.flatMap(identified, loop))
  })
)

