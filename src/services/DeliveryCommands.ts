/**
 * What an operator orders about deliveries: retry, replay, purge. They are rows of the store (`pgstream.delivery_commands`),
 * carried out by the service that reads the stream, one after another; a kill in the middle goes on where it was.
 *
 * - retry: dead ones wait again, due now; those that wait are due now.
 * - replay: the same, and what was delivered, where the log has its body; or everything that is meant to another URL.
 * - purge: erases what is stored of them; their numbers are accounted for as `purged`.
 *
 * Every layer passes `test/suites/DeliveryCommandsSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { DeliverySelector } from "../domain/DeliverySelector.ts"
import type { StreamId } from "../domain/StreamId.ts"
import type { MatchCursor } from "./DeliveryAdmin.ts"

export type CommandKind = "retry" | "replay" | "purge"
export type CommandState = "queued" | "running" | "done" | "failed" | "cancelled"

export interface CommandRequest {
  readonly kind: CommandKind
  readonly selector: DeliverySelector
  /** Another URL, with userinfo if it has some; `undefined`: the endpoint's own. */
  readonly target: Redacted.Redacted<string> | undefined
  /** Deliveries a second; `undefined`: as fast as it goes. */
  readonly rate: number | undefined
  /** Who ordered it: a token's name, or the user of the command line. */
  readonly by: string
}

/** What anybody may see of it: no value of a row, of the target the host alone. */
export interface CommandView {
  readonly id: number
  readonly kind: CommandKind
  readonly described: string
  readonly targetHost: string
  readonly rate: number | undefined
  readonly state: CommandState
  /** Deliveries that it was carried out on; that it could not be, such as delivered ones whose body is not kept. */
  readonly done: number
  readonly skipped: number
  /** In words: why it failed, or what was skipped and the way to it. */
  readonly note: string
  readonly by: string
  /** ms since 1970. */
  readonly orderedAtMs: number
  readonly endedAtMs: number | undefined
}

/** In this order: stored: rows of the table · segments: what waits there, for another URL · logged: what the log has kept. */
export interface CommandPlace {
  readonly phase: "stored" | "segments" | "logged"
  /** Number of the segment in which `after` is; only of that phase. */
  readonly segment?: number | undefined
  /** What is before is done. */
  readonly after: MatchCursor | undefined
}

export interface Progress {
  /** `undefined`: at the beginning. */
  readonly place: CommandPlace | undefined
  readonly done: number
  readonly skipped: number
  readonly note: string
}

export interface Command extends CommandRequest, Progress {
  readonly id: number
  readonly orderedAtMs: number
}

export class DeliveryCommands extends Context.Service<DeliveryCommands, {
  /** Durable before it returns its number. */
  add(stream: StreamId, request: CommandRequest): Effect.Effect<number, DeliveryCommandsError>
  get(stream: StreamId, id: number): Effect.Effect<CommandView | undefined, DeliveryCommandsError>
  /** Newest first, at most `limit`. */
  list(stream: StreamId, limit: number): Effect.Effect<ReadonlyArray<CommandView>, DeliveryCommandsError>
  /** What is not carried out yet, ends; `false`: it had ended already, or is not there. */
  cancel(stream: StreamId, id: number): Effect.Effect<boolean, DeliveryCommandsError>
  /** For who reads the stream: the oldest that has not ended, as running; `undefined`: none, or the stream is another's. */
  next(stream: StreamId): Effect.Effect<Command | undefined, DeliveryCommandsError>
  /** `false`: it was cancelled, or the stream is another's: stop. */
  progress(stream: StreamId, id: number, progress: Progress): Effect.Effect<boolean, DeliveryCommandsError>
  end(stream: StreamId, id: number, state: "done" | "failed", progress: Progress): Effect.Effect<void, DeliveryCommandsError>
}>()("pgstream/services/DeliveryCommands") {}

export class DeliveryCommandsError extends Schema.TaggedError<DeliveryCommandsError>()("DeliveryCommandsError", {
  operation: Schema.String,
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}
