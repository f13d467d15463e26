/**
 * Named tokens in `pgstream.api_tokens`. A store that does not answer is an error here, not a wait: the guard of the API
 * keeps what it knew.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { SqlError } from "effect/sql/SqlError"
import { randomBytes } from "node:crypto"
import * as ApiToken from "../../../domain/ApiToken.ts"
import { ApiTokenRefused, ApiTokens, ApiTokensError, hashOf, type NewToken, type StoredToken } from "../../../services/ApiTokens.ts"
import { StoreSql } from "../Sql.ts"
import * as StoreHints from "./StoreHints.ts"
import { answering } from "./StoreRetry.ts"

/** Longer than any of these statements takes. */
const TIMEOUT = "10 seconds"

interface TokenRow {
  readonly name: string
  readonly scope: ApiToken.TokenScope
  readonly hash: Uint8Array
  readonly created_ms: bigint
  readonly expires_ms: bigint | null
  readonly last_used_on: string | null
}

const tokenOf = (row: TokenRow): StoredToken => ({
  name: row.name,
  scope: row.scope,
  hash: row.hash,
  createdAtMs: Number(row.created_ms),
  expiresAtMs: row.expires_ms === null ? undefined : Number(row.expires_ms),
  lastUsedOn: row.last_used_on ?? undefined
})

const COLUMNS = `name, scope, hash, floor(extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
  floor(extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms, last_used_on::text AS last_used_on`

const operation = <A, E>(name: ApiTokensError["operation"], work: Effect.Effect<A, E | SqlError>) =>
  answering(TIMEOUT, work, (why) => new ApiTokensError({ operation: name, ...why }))

export const make = Effect.gen(function*() {
  const sql = yield* StoreSql
  const { hints } = yield* StoreHints.StoreHints
  const columns = sql.literal(COLUMNS)

  /** One at a time, so that the number of tokens is exact. */
  const add = Effect.fnUntraced(function*({ expiresAtMs, name, scope }: NewToken) {
    yield* sql`SELECT pg_advisory_xact_lock(hashtext('pgstream'), hashtext('api_tokens'))`
    const [found] = yield* sql<{ readonly taken: boolean; readonly there: number }>`
      SELECT count(*)::int AS there, coalesce(bool_or(name = ${name}), false) AS taken FROM pgstream.api_tokens`
    if (found?.taken === true) return yield* new ApiTokenRefused({ reason: "NameTaken" })
    if ((found?.there ?? 0) >= ApiToken.MAX_TOKENS) return yield* new ApiTokenRefused({ reason: "TooMany" })
    const secret = ApiToken.format(randomBytes(ApiToken.BYTES).toString("base64url"))
    const [row] = yield* sql<TokenRow>`
      INSERT INTO pgstream.api_tokens (name, scope, hash, expires_at)
      VALUES (${name}, ${scope}, ${hashOf(secret)}, to_timestamp(${expiresAtMs ?? null}::float8 / 1000))
      RETURNING ${columns}`
    const { hash: _, ...token } = tokenOf(row!)
    return { token, secret: Redacted.make(secret) }
  })

  return ApiTokens.of({
    list: operation("list", sql<TokenRow>`SELECT ${columns} FROM pgstream.api_tokens ORDER BY name COLLATE "C"`).pipe(
      Effect.map((rows) => rows.map(tokenOf))
    ),
    add: (token) => operation("add", sql.withTransaction(add(token))).pipe(Effect.tap(StoreHints.notify(sql))),
    remove: (name) =>
      operation("remove", sql`DELETE FROM pgstream.api_tokens WHERE name = ${name} RETURNING 1 AS gone`).pipe(
        Effect.map((rows) => rows.length > 0),
        Effect.tap(StoreHints.notify(sql))
      ),
    used: (names, day) =>
      operation("used", Effect.asVoid(sql`
        UPDATE pgstream.api_tokens SET last_used_on = ${day}::date
        WHERE name = ANY (${names}::text[]) AND (last_used_on IS NULL OR last_used_on < ${day}::date)`)),
    hints
  })
})

export const layer: Layer.Layer<ApiTokens, never, StoreSql> = Layer.effect(ApiTokens, make).pipe(
  Layer.provide(StoreHints.layer)
)
