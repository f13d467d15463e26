/**
 * What an operator should hear of: one log line and, with `PGSTREAM_NOTICE_URL`, one signed POST for each state that
 * begins, not for each event in it. Plain: it never fails, never waits. Without a Layer nothing is said.
 */
import * as Context from "effect/Context"

/**
 * - endpoint_disabled, endpoint_suspended: it gets nothing until it is resumed.
 * - first_dead_letter: of an endpoint since the last time that it had none.
 * - barrier_waiting: for an hour something in the table of parked deliveries has held up what comes after it: what holds a
 *   whole table; with order `total` any row; or so many rows that the reader of segments waits. The hour counts from when
 *   the row was parked, across restarts; of too many rows from when this process saw it. A barrier that waits in segments
 *   is none of these: it is read, and then in the table, unless its endpoint is paused, disabled, suspended or down. Then
 *   the endpoint is what waits.
 * - slot_near_loss: Postgres will soon give the slot up (max_slot_wal_keep_size).
 */
export type NoticeKind =
  | "endpoint_disabled" | "endpoint_suspended" | "first_dead_letter" | "barrier_waiting" | "slot_near_loss"

export interface Notice {
  readonly kind: NoticeKind
  /** `undefined`: it is about the slot. */
  readonly endpointId: string | undefined
  /** In words, with the mend; no value of a row, no URL with userinfo or query. */
  readonly message: string
  /** Of the same kind and endpoint: told once until `over` ends it. */
  readonly facts: Readonly<Record<string, string | number>>
}

export interface NoticesShape {
  tell(notice: Notice): void
  /** The state is over: the next one is told again. */
  over(kind: NoticeKind, endpointId: string | undefined): void
}

export const Notices = Context.Reference<NoticesShape>("pgstream/services/Notices", {
  defaultValue: () => ({ tell: () => {}, over: () => {} })
})
