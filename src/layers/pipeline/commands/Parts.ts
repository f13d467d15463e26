/** What the commands work with, and the step that all of them take. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../../../domain/StreamId.ts"
import { DeliveryAdmin, type MatchCursor } from "../../../services/DeliveryAdmin.ts"
import { type Command, type CommandPlace, DeliveryCommands, type Progress } from "../../../services/DeliveryCommands.ts"
import { Endpoints } from "../../../services/Endpoints.ts"
import { EndpointStore } from "../../../services/EndpointStore.ts"
import { LiveDeliveries } from "../../../services/LiveDeliveries.ts"
import { ParkedDeliveries } from "../../../services/ParkedDeliveries.ts"
import { Segments } from "../../../services/Segments.ts"
import { SequenceRanges } from "../../../services/SequenceRanges.ts"
import { WebhookTransport } from "../../../services/WebhookTransport.ts"

/** It was cancelled, or the stream is another process's: nothing more is to be done here. */
export class Stopped extends Schema.TaggedError<Stopped>()("Stopped", {}) {}

/** Its own endpoint of each; the order of `A` stays. */
export const byEndpoint = <A extends { readonly endpointId: string }>(rows: ReadonlyArray<A>): ReadonlyMap<string, ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const row of rows) {
    const group = groups.get(row.endpointId)
    if (group === undefined) groups.set(row.endpointId, [row])
    else group.push(row)
  }
  return groups
}

export const partsOf = Effect.fnUntraced(function*(stream: StreamId) {
  return {
    stream,
    admin: yield* DeliveryAdmin,
    commands: yield* DeliveryCommands,
    endpoints: yield* Endpoints,
    endpointStore: yield* EndpointStore,
    live: yield* LiveDeliveries,
    parked: yield* ParkedDeliveries,
    segments: yield* Segments,
    ranges: yield* SequenceRanges,
    transport: yield* WebhookTransport
  }
})

export type CommandParts = Effect.Success<ReturnType<typeof partsOf>>

/** What was done so far; `told` makes it durable, and stops where nobody wants more. */
export class Tally {
  done: number
  skipped: number
  note: string
  readonly #parts: CommandParts
  readonly #id: number

  constructor(parts: CommandParts, command: Command) {
    this.#parts = parts
    this.#id = command.id
    this.done = command.done
    this.skipped = command.skipped
    this.note = command.note
  }

  progress(phase: CommandPlace["phase"], after: MatchCursor | undefined): Progress {
    return this.#at({ phase, after })
  }

  told(phase: CommandPlace["phase"], after: MatchCursor | undefined) {
    return this.toldAt({ phase, after })
  }

  toldAt(place: CommandPlace) {
    return Effect.flatMap(this.#parts.commands.progress(this.#parts.stream, this.#id, this.#at(place)), (held) =>
      held ? Effect.void : Effect.fail(new Stopped()))
  }

  #at(place: CommandPlace): Progress {
    return { place, done: this.done, skipped: this.skipped, note: this.note }
  }
}
