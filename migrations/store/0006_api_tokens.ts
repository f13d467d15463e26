/**
 * 0006: named tokens of the API.
 *
 * - One row a token, with the SHA-256 of it: who reads the table, its dump or the WAL cannot use one.
 * - Locks: none on tables that are there. Additive; safe under a running service.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

const statements = [
  `CREATE TABLE pgstream.api_tokens (
     name         text        PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 63),
     scope        text        NOT NULL CHECK (scope IN ('read', 'manage')),
     hash         bytea       NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
     created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
     expires_at   timestamptz,
     last_used_on date)`,
  `COMMENT ON TABLE pgstream.api_tokens IS
     'Tokens of the API. Private: changed by pgstream tokens alone.'`,
  `COMMENT ON COLUMN pgstream.api_tokens.hash IS 'SHA-256 of the token, which is 256 random bits.'`,
  `REVOKE ALL ON pgstream.api_tokens FROM PUBLIC`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
