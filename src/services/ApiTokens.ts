/**
 * Named tokens of the API, in the store: `pgstream.api_tokens`. What is kept of a token is its SHA-256 (`ApiToken` says
 * why that is enough), so no dump and no reader of the WAL can use one.
 *
 * Every layer passes `test/suites/ApiTokensSuite.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { ApiToken, TokenScope } from "../domain/ApiToken.ts"

export interface StoredToken extends ApiToken {
  /** SHA-256 of the token, 32 bytes. */
  readonly hash: Uint8Array
}

export interface NewToken {
  /** `ApiToken.nameProblem` has nothing against it. */
  readonly name: string
  readonly scope: TokenScope
  /** ms since 1970 */
  readonly expiresAtMs: number | undefined
}

export interface MadeToken {
  readonly token: ApiToken
  /** The only time that it is handed out. */
  readonly secret: Redacted.Redacted
}

/** What is stored, and compared, of a token. */
export const hashOf = (secret: string): Buffer => createHash("sha256").update(secret, "utf8").digest()

export class ApiTokens extends Context.Service<ApiTokens, {
  /** All of them, by name; expired ones too. */
  readonly list: Effect.Effect<ReadonlyArray<StoredToken>, ApiTokensError>
  /** Durable before it returns; in force for running services within seconds. */
  add(token: NewToken): Effect.Effect<MadeToken, ApiTokensError | ApiTokenRefused>
  /** Refused by running services within seconds. `false`: there was none. */
  remove(name: string): Effect.Effect<boolean, ApiTokensError>
  /** They were used on that day (`2026-11-24`, UTC). An earlier day changes nothing. */
  used(names: ReadonlyArray<string>, day: string): Effect.Effect<void, ApiTokensError>
  /** An element whenever they may have changed: a hint, never complete. Never fails. */
  readonly hints: Stream.Stream<void>
}>()("pgstream/services/ApiTokens") {}

/** Nothing was changed. NameTaken: another token has the name · TooMany: `ApiToken.MAX_TOKENS` are there. */
export class ApiTokenRefused extends Schema.TaggedError<ApiTokenRefused>()("ApiTokenRefused", {
  reason: Schema.Literals(["NameTaken", "TooMany"])
}) {}

export class ApiTokensError extends Schema.TaggedError<ApiTokensError>()("ApiTokensError", {
  operation: Schema.Literals(["list", "add", "remove", "used"]),
  /** The store cannot be reached now. */
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {}
