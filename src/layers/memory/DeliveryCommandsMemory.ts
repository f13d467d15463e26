/**
 * Same contract as `DeliveryCommandsPg`; `test/suites/DeliveryCommandsSuite.ts` runs against both. Lives as long as the
 * layer, and whoever has it reads the stream.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as DeliverySelector from "../../domain/DeliverySelector.ts"
import { format, type StreamId } from "../../domain/StreamId.ts"
import { hostOf } from "../../services/Audit.ts"
import { type Command, type CommandState, type CommandView, DeliveryCommands, type Progress } from "../../services/DeliveryCommands.ts"

interface Stored extends Command {
  readonly state: CommandState
  readonly endedAtMs: number | undefined
}

const viewOf = (command: Stored): CommandView => ({
  id: command.id, kind: command.kind, described: DeliverySelector.describe(command.selector), rate: command.rate, state: command.state,
  targetHost: command.target === undefined ? "" : hostOf(Redacted.value(command.target)), done: command.done, skipped: command.skipped,
  note: command.note, by: command.by, orderedAtMs: command.orderedAtMs, endedAtMs: command.endedAtMs
})

const isOpen = ({ state }: Stored): boolean => state === "queued" || state === "running"

export const layer: Layer.Layer<DeliveryCommands> = Layer.sync(DeliveryCommands, () => {
  const streams = new Map<string, Map<number, Stored>>()
  let last = 0
  const of = (stream: StreamId): Map<number, Stored> => {
    const name = format(stream)
    let commands = streams.get(name)
    if (commands === undefined) streams.set(name, commands = new Map())
    return commands
  }
  /** Changes one that has not ended; whether it did. */
  const change = (stream: StreamId, id: number, from: (stored: Stored) => boolean, to: Partial<Stored>): boolean => {
    const stored = of(stream).get(id)
    if (stored === undefined || !from(stored)) return false
    of(stream).set(id, { ...stored, ...to })
    return true
  }
  const isRunning = ({ state }: Stored) => state === "running"
  return DeliveryCommands.of({
    add: (stream, request) =>
      Effect.map(Clock.currentTimeMillis, (orderedAtMs) => {
        const id = ++last
        of(stream).set(id, { ...request, id, orderedAtMs, state: "queued", place: undefined, done: 0, skipped: 0, note: "", endedAtMs: undefined })
        return id
      }),
    get: (stream, id) =>
      Effect.sync(() => {
        const stored = of(stream).get(id)
        return stored === undefined ? undefined : viewOf(stored)
      }),
    list: (stream, limit) => Effect.sync(() => [...of(stream).values()].toReversed().slice(0, limit).map(viewOf)),
    cancel: (stream, id) =>
      Effect.map(Clock.currentTimeMillis, (endedAtMs) => change(stream, id, isOpen, { state: "cancelled", endedAtMs })),
    next: (stream) =>
      Effect.sync(() => {
        const command = [...of(stream).values()].find(isOpen)
        if (command === undefined) return undefined
        change(stream, command.id, isOpen, { state: "running" })
        const { endedAtMs: _, state: __, ...rest } = command
        return rest
      }),
    progress: (stream, id, progress: Progress) => Effect.sync(() => change(stream, id, isRunning, progress)),
    end: (stream, id, state, progress) =>
      Effect.map(Clock.currentTimeMillis, (endedAtMs) => void change(stream, id, isRunning, { ...progress, state, endedAtMs }))
  })
})
