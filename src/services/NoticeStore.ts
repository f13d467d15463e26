/**
 * Which states an operator was told of, durable per stream, so that a restart within a state does not tell it again. A
 * notice that was not posted yet is posted after a restart.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StreamId } from "../domain/StreamId.ts"
import type { Notice, NoticeKind } from "./Notices.ts"

export interface ToldNotice extends Notice {
  /** uuid: the `webhook-id` is made from it. */
  readonly id: string
  /** ms since 1970. */
  readonly beganAtMs: number
  readonly sent: boolean
}

export class NoticeStore extends Context.Service<NoticeStore, {
  load(stream: StreamId): Effect.Effect<ReadonlyArray<ToldNotice>, NoticeStoreError>
  /** `false`: the state was told already. Durable before it returns. */
  tell(stream: StreamId, notice: ToldNotice): Effect.Effect<boolean, NoticeStoreError>
  sent(stream: StreamId, id: string): Effect.Effect<void, NoticeStoreError>
  over(stream: StreamId, kind: NoticeKind, endpointId: string | undefined): Effect.Effect<void, NoticeStoreError>
  /**
   * Forgets what is over as the store itself knows, and says which: the endpoint ended, is not disabled, not suspended any
   * more, or has no dead letter left. Resumed while no service ran, erased, gone by age: nobody calls `over` then.
   */
  ended(stream: StreamId): Effect.Effect<ReadonlyArray<Pick<Notice, "endpointId" | "kind">>, NoticeStoreError>
}>()("pgstream/services/NoticeStore") {}

export class NoticeStoreError extends Schema.TaggedError<NoticeStoreError>()("NoticeStoreError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {}
