/** A store of a test's own: the pool, and `pgstream` migrated in its database. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as MigrationsStore from "../../src/layers/postgres/store/MigrationsStore.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"

export const migratedStore = (url: string) =>
  Layer.effect(
    Sql.StoreSql,
    Effect.tap(Sql.make(Redacted.make(url), "pgstream store"), MigrationsStore.run)
  )
