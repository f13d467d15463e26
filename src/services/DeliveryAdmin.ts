/**
 * Deliveries as an operator sees and changes them: what waits, what is dead, what the log has of attempts. Reading
 * never locks; what is changed here is changed by the running service alone (`DeliveryCommands`), since the Notifier
 * knows in memory what waits.
 *
 * Every layer passes `test/suites/DeliveryAdminSuite.ts`. Bodies are handed out only where they are asked for.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { DeliverySelector, SelectedState } from "../domain/DeliverySelector.ts"
import type { StreamId } from "../domain/StreamId.ts"
import type { EndpointId } from "../domain/Subscription.ts"
import type { ParkedDelivery, ParkedKeys } from "./ParkedDeliveries.ts"

/** waiting, dead: what is stored, in rows or segments · delivered, failed: attempts of the log. */
export type ListedState = SelectedState | "delivered" | "failed"

export interface DeliveryQuery {
  /** Its `state` is not looked at. */
  readonly selector: DeliverySelector
  /** `undefined`: waiting and dead. */
  readonly state: ListedState | undefined
  readonly oldestFirst: boolean
  /** 1 … `MAX_PAGE` */
  readonly limit: number
  /** `next` of the page before, of the same query. */
  readonly cursor: string | undefined
}

export const MAX_PAGE = 1_000

/** One delivery, or one attempt of the log, without its body. */
export interface ListedDelivery {
  readonly endpointId: EndpointId
  readonly id: string
  readonly state: ListedState
  /** 0: none. */
  readonly sequence: number
  readonly epoch: string
  readonly table: string
  readonly kind: string
  /** So far; of an attempt: which one it was. */
  readonly attempts: number
  /** When it was parked (or its segment appended), or the attempt began: ms since 1970. */
  readonly atMs: number
  /** When it is tried again; only of rows that wait: what is in a segment goes in its turn. */
  readonly dueAtMs: number | undefined
  /** Short text of the failure: status or reason. */
  readonly lastError: string | undefined
  /** Of an attempt. */
  readonly tookMs: number | undefined
}

export interface DeliveryPage {
  readonly deliveries: ReadonlyArray<ListedDelivery>
  /** There may be more, also where this page has fewer than asked for; `undefined`: this is the end. */
  readonly next: string | undefined
}

export interface LoggedAttempt {
  readonly attempt: number
  /** ms since 1970. */
  readonly atMs: number
  readonly tookMs: number
  readonly status: number | undefined
  /** `""`: it was accepted. */
  readonly reason: string
  /** First 1 kB of the answer: may repeat values of the row. */
  readonly answerStart: string | undefined
}

export interface ShownDelivery {
  readonly facts: ListedDelivery
  /** Oldest first. */
  readonly attempts: ReadonlyArray<LoggedAttempt>
  /** `undefined`: not asked for, or not kept. */
  readonly body: Uint8Array | undefined
}

export interface BlockingDelivery {
  readonly delivery: ListedDelivery
  /** row: it holds up one key · barrier: a whole table. */
  readonly kind: "row" | "barrier"
  /** How many wait for it, in segments, too. */
  readonly behind: number
}

export interface Blocking {
  /** Most behind first. */
  readonly blocking: ReadonlyArray<BlockingDelivery>
  /** Endpoints of which more wait than were looked at, with how many were. */
  readonly partly: ReadonlyMap<EndpointId, number>
}

export interface DeliveryCounts {
  readonly endpointId: EndpointId
  /** Rows that wait; events that wait in segments, before they are rows. */
  readonly waiting: number
  readonly behind: number
  readonly dead: number
  /** Of the oldest that waits as a row: when it was parked, ms since 1970. */
  readonly oldestMs: number | undefined
}

/** In stream order of one endpoint: exclusive. */
export interface MatchCursor {
  readonly endpointId: EndpointId
  readonly commitLsn: string
  readonly ordinal: number
  readonly id: string
}

export interface Matches {
  /** With bodies only where they were asked for; empty otherwise. */
  readonly rows: ReadonlyArray<ParkedDelivery>
  /** How far was looked; `undefined`: there are no more. Rows that do not match are passed, too. */
  readonly next: MatchCursor | undefined
}

/** Accepted, and in the log with its body. */
export interface KeptDelivery extends ParkedKeys {
  readonly sequence: number
  readonly epoch: string
  readonly table: string
  readonly kind: string
  readonly body: Uint8Array
}

export interface Kept {
  readonly deliveries: ReadonlyArray<KeptDelivery>
  readonly withoutBody: number
  /** `undefined`: there are no more. */
  readonly next: MatchCursor | undefined
}

export class DeliveryAdmin extends Context.Service<DeliveryAdmin, {
  list(stream: StreamId, query: DeliveryQuery): Effect.Effect<DeliveryPage, DeliveryAdminError>
  /** `undefined`: neither stored nor in the log. */
  show(stream: StreamId, endpoint: EndpointId, id: string, withBody: boolean): Effect.Effect<ShownDelivery | undefined, DeliveryAdminError>
  /** Of one endpoint, or of all. */
  blocking(stream: StreamId, endpoint: EndpointId | undefined): Effect.Effect<Blocking, DeliveryAdminError>
  /** Of all endpoints that have any, by id. */
  counts(stream: StreamId): Effect.Effect<ReadonlyArray<DeliveryCounts>, DeliveryAdminError>
  /**
   * For a command: what is stored and meant, parked at or before `beforeMs`, in stream order of each endpoint. `limit`:
   * rows that are looked at.
   */
  matching(stream: StreamId, selector: DeliverySelector, beforeMs: number, after: MatchCursor | undefined, limit: number, withBodies: boolean): Effect.Effect<Matches, DeliveryAdminError>
  /** The same of what the log has as accepted. `withoutBody`: meant (a key aside), and the log has no body. */
  kept(stream: StreamId, selector: DeliverySelector, beforeMs: number, after: MatchCursor | undefined, limit: number): Effect.Effect<Kept, DeliveryAdminError>
  /** Waiting, due now, the retry schedule anew. Refused when the stream was taken over. */
  revive(stream: StreamId, endpoint: EndpointId, ids: ReadonlyArray<string>): Effect.Effect<void, DeliveryAdminError>
  /** Rows go, and what the log has of their bodies and answers. Refused when the stream was taken over. */
  erase(stream: StreamId, endpoint: EndpointId, ids: ReadonlyArray<string>): Effect.Effect<void, DeliveryAdminError>
  /** Bodies and answers of the log that are meant are erased, the attempts stay. Returns how many had some. */
  eraseLogged(stream: StreamId, selector: DeliverySelector): Effect.Effect<number, DeliveryAdminError>
}>()("pgstream/services/DeliveryAdmin") {}

export class DeliveryAdminError extends Schema.TaggedError<DeliveryAdminError>()("DeliveryAdminError", {
  operation: Schema.String,
  /** The store cannot be reached now. */
  unavailable: Schema.Boolean,
  /** Another process reads the stream. */
  takenOver: Schema.optional(Schema.Boolean),
  cause: Schema.Defect()
}) {}

/** A cursor that none of ours made, or of another query. */
export class BadCursor extends Schema.TaggedError<BadCursor>()("BadCursor", {}) {}
