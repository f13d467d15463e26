/** Rows of `pgstream.webhook_endpoint_secrets` as values, and back. The content is JSON, sealed where there is a key. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { SendingContent } from "../../../domain/Sending.ts"
import type { EndpointId } from "../../../domain/Subscription.ts"
import { SealError, type Seals } from "./Seals.ts"

const Content = Schema.fromJsonString(Schema.Struct({
  secrets: Schema.Array(Schema.Struct({ secret: Schema.String, expiresAtMs: Schema.NullOr(Schema.Number) })),
  headers: Schema.Record(Schema.String, Schema.String),
  auth: Schema.NullOr(Schema.Union([
    Schema.Struct({ type: Schema.Literal("bearer"), token: Schema.String }),
    Schema.Struct({ type: Schema.Literal("basic"), username: Schema.String, password: Schema.String })
  ])),
  ca: Schema.NullOr(Schema.String),
  client: Schema.NullOr(Schema.Struct({ certificate: Schema.String, key: Schema.String }))
}))

const decode = Schema.decodeUnknownResult(Content)

/** The row's additional data: a content that is moved to another endpoint does not open. */
const contextOf = (id: EndpointId): string => `endpoint ${id}`

export const seal = (seals: Seals, id: EndpointId, content: SendingContent): Uint8Array =>
  seals.seal(Buffer.from(JSON.stringify(content), "utf8"), contextOf(id))

/** Nothing of the content is in an error: what a schema says of it is left out. */
export const open = (seals: Seals, id: EndpointId, bytes: Uint8Array): Result.Result<SendingContent, SealError> =>
  Result.flatMap(seals.open(bytes, contextOf(id)), (plain) =>
    Result.mapError(decode(Buffer.from(plain).toString("utf8")), () => new SealError({ keyId: "none", known: true })))
