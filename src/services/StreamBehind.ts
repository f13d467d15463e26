/**
 * How far the stream is behind: what the server has written and was not yet handed to the Notifier.
 * Optional: who does not provide it leaves `behind_bytes` out of the API's answers.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export const StreamBehind = Context.Reference<{
  /** Bytes of WAL, 0 or more; `undefined` while it is not known. Ends soon, never fails. */
  readonly bytes: Effect.Effect<number | undefined>
}>("pgstream/services/StreamBehind", { defaultValue: () => ({ bytes: Effect.succeed(undefined) }) })
