/** Our walsender as a synchronous standby: seen while it runs, named, and `/ready` turns red. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HealthChecksLive from "../../src/layers/http/HealthChecksLive.ts"
import * as HeartbeatNone from "../../src/layers/pipeline/HeartbeatNone.ts"
import * as ListenerLive from "../../src/layers/pipeline/Listener.ts"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import * as SourceProbePg from "../../src/layers/postgres/replication/SourceProbePg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { HealthChecks } from "../../src/services/HealthChecks.ts"
import { Listener } from "../../src/services/Listener.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { StoreProbe } from "../../src/services/StoreProbe.ts"
import { eventually } from "../support/eventually.ts"
import { startServer } from "../support/PostgresServer.ts"
import { makeSlot, settings } from "../support/slots.ts"

it.live("turns red when synchronous_standby_names begins to name it, and green again", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(Effect.promise(() => startServer()), (server) => Effect.promise(() => server.stop()))
    const psql = (sql: string) => server.psql(sql)
    makeSlot({ psql }, "watched", "pgoutput")
    const shape = Layer.succeed(SourceSettings, settings(server.url(), "watched"))
    const listener = ListenerLive.layer.pipe(Layer.provide(SlotSource.layer), Layer.provide(HeartbeatNone.layer), Layer.provide(shape))
    const checks = HealthChecksLive.layer.pipe(
      Layer.provide(SourceProbePg.layer(50).pipe(Layer.provide(Sql.layerSource), Layer.provide(shape))),
      Layer.provide(Layer.succeed(StoreProbe, { reach: Effect.void })),
      Layer.provideMerge(listener)
    )
    yield* Effect.gen(function*() {
      const listening = yield* Listener.use((listener) => listener.open(0))
      assert.isAbove(listening.startedAt, 0)
      const standby = (yield* HealthChecks).checks.find(({ name }) => name === "standby")!
      const source = (yield* HealthChecks).checks.find(({ name }) => name === "source")!
      yield* eventually("the source is read", Effect.map(source.problem, (problem) => problem === undefined))
      assert.isUndefined(yield* standby.problem)
      psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
      psql("SELECT pg_reload_conf()")
      yield* eventually("it is named", Effect.map(standby.problem, (problem) => problem?.includes("synchronous_standby_names") === true))
      psql("ALTER SYSTEM RESET synchronous_standby_names")
      psql("SELECT pg_reload_conf()")
      yield* eventually("it is well again", Effect.map(standby.problem, (problem) => problem === undefined))
    }).pipe(Effect.provide(checks), Effect.scoped)
  }).pipe(Effect.scoped))
