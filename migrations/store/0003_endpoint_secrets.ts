/**
 * 0003: what an endpoint's requests carry beside the URL: signing secrets, headers, authorization, certificates.
 *
 * - One row for each endpoint that has any; it goes with the endpoint.
 * - Encrypted with `PGSTREAM_SECRET_KEY`; without that key the JSON in the clear, never with an authorization or a
 *   client's key (docs/security.md).
 * - Locks: SHARE ROW EXCLUSIVE on `webhook_endpoints` for a moment. Additive; safe under a running service.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

const statements = [
  `CREATE TABLE pgstream.webhook_endpoint_secrets (
     endpoint_id uuid        PRIMARY KEY REFERENCES pgstream.webhook_endpoints (id) ON DELETE CASCADE,
     version     bigint      NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
     content     bytea       NOT NULL CHECK (octet_length(content) <= 131072),
     updated_at  timestamptz NOT NULL DEFAULT now())`,
  `COMMENT ON TABLE pgstream.webhook_endpoint_secrets IS
     'Signing secrets, headers, authorization and certificates of an endpoint. Private: changed by the API alone.'`,
  `COMMENT ON COLUMN pgstream.webhook_endpoint_secrets.version IS
     'Another one with each change of the content, also when the row was removed between; another encryption is none.'`,
  `REVOKE ALL ON pgstream.webhook_endpoint_secrets FROM PUBLIC`
]

export default Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
