/** The statements of a migration as text: for an administrator who runs them, where our role may not. */
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"

/**
 * What `migration` would run, in its order; nothing is run, and each statement seems to give no rows. A migration that
 * passes parameters dies: its text alone would be another statement.
 */
export const statementsOf = <E>(
  migration: Effect.Effect<unknown, E, SqlClient.SqlClient>
): Effect.Effect<ReadonlyArray<string>, E> =>
  Effect.gen(function*() {
    const statements: Array<string> = []
    const record = (text: string, params: ReadonlyArray<unknown>) =>
      Effect.suspend(() => {
        if (params.length > 0) return Effect.die(new Error("A migration with parameters cannot be printed."))
        statements.push(text.replace(/^\n+/, "").trimEnd())
        return Effect.succeed([])
      })
    const connection: Connection = {
      execute: record,
      executeRaw: record,
      executeValues: record,
      executeValuesUnprepared: record,
      executeUnprepared: record,
      executeStream: (text, params) => Stream.fromIterableEffect(record(text, params))
    }
    const client = yield* SqlClient.make({
      acquirer: Effect.succeed(connection),
      compiler: PgClient.makeCompiler(),
      driver: "text",
      spanAttributes: []
    })
    yield* Effect.provideService(migration, SqlClient.SqlClient, client)
    return statements
  }).pipe(Effect.provide(Reactivity.layer))
