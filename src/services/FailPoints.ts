/**
 * Places where a test may hold or kill the pipeline. Production provides nothing: `hit` is `undefined`, and each
 * layer reads it once.
 */
import * as Context from "effect/Context"

export type FailPoint =
  | "checkpoint.before_save"
  | "checkpoint.after_save"
  | "acknowledge.before"
  | "acknowledge.after"
  | "dispatcher.after_send"
  | "dispatcher.after_reply"
  | "parked.before_write"
  | "parked.after_write"
  | "segments.before_append"
  | "segments.after_append"
  | "listener.after_chunk"

export const FailPoints = Context.Reference<{
  readonly hit: ((name: FailPoint) => void) | undefined
}>("pgstream/services/FailPoints", { defaultValue: () => ({ hit: undefined }) })
