/** Both connections (SQL and replication) from every form of URL, each against a real server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { testDatabase } from "../support/database.ts"

const port = inject("postgresPort")
const database = testDatabase("connection")

const viaSql = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* Sql.make(Redacted.make(url), "pgstream test")
    const [row] = yield* sql<{ readonly db: string; readonly usr: string; readonly commit: string }>`
      SELECT current_database()::text AS db, current_user::text AS usr, current_setting('synchronous_commit') AS commit`
    return row
  }).pipe(Effect.scoped)

const urls: ReadonlyArray<readonly [string, string, string]> = [
  ["no query", `postgres://postgres:x@127.0.0.1:${port}/${database.name}`, database.name],
  ["sslmode=disable", `postgresql://postgres:x@127.0.0.1:${port}/${database.name}?sslmode=disable`, database.name],
  ["sslmode=prefer on a server without TLS", `postgres://postgres@127.0.0.1:${port}/${database.name}?sslmode=prefer`, database.name],
  ["sslmode=allow on a server without TLS", `postgres://postgres@127.0.0.1:${port}/${database.name}?sslmode=allow`, database.name],
  ["no database", `postgres://postgres@127.0.0.1:${port}?sslmode=disable`, "postgres"],
  ["a Unix socket as host", `postgres:///${database.name}?host=${inject("postgresSocketDir")}&port=${port}&user=postgres`, database.name],
  ["a Unix socket, encoded", `postgres://postgres@${encodeURIComponent(inject("postgresSocketDir"))}:${port}/${database.name}`, database.name],
  ["a dead host before a live one", `postgres://postgres@127.0.0.1:1,127.0.0.1:${port}/${database.name}?sslmode=disable`, database.name]
]

describe("connection", () => {
  for (const [name, url, expected] of urls) {
    it.live(`SQL: ${name}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* viaSql(url), { db: expected, usr: "postgres", commit: "local" })
      }))
  }
})
