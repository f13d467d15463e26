/** What Postgres itself says of a slot that falls behind, and what is told of it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { atEnd } from "../support/atEnd.ts"
import * as SlotWatch from "../../src/layers/postgres/replication/SlotWatch.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { Notices } from "../../src/services/Notices.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { eventually } from "../support/eventually.ts"
import { startServer } from "../support/PostgresServer.ts"
import { settings } from "../support/slots.ts"

/** 3 MB of WAL, of which the slot wants nothing. */
const FILL = "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 3000000))"

it.live("a slot near its loss is told of while it still is one; over when it has caught up, told again as lost", () =>
  Effect.gen(function*() {
    const server = yield* Effect.promise(() => startServer({
      conf: ["max_slot_wal_keep_size = '64MB'", "max_wal_size = '1GB'", "wal_keep_size = 0", "checkpoint_timeout = 1h"]
    }))
    atEnd(() => server.stop())
    server.psql("SELECT pg_create_logical_replication_slot('watched', 'pgoutput')")
    const said: Array<string> = []
    /** One look: that of a start. */
    const look = Effect.suspend(() => {
      said.length = 0
      const notices = {
        tell: ({ endpointId, facts, kind, message }: Parameters<typeof Notices.Service["tell"]>[0]) =>
          void said.push(`${kind} ${endpointId} ${facts["wal_status"]} ${Number(facts["safe_wal_bytes"]) <= 6_710_886 ? "near" : "far"} ${message.includes("max_slot_wal_keep_size")}`),
        over: (kind: string) => void said.push(`${kind} is over`)
      }
      const built = Layer.build(SlotWatch.layer.pipe(
        Layer.provide(Layer.effect(Sql.SourceSql, Sql.make(Redacted.make(server.url("postgres")), "pgstream test"))),
        Layer.provide(Layer.succeed(SourceSettings, settings(server.url("postgres"), "watched"))),
        Layer.provide(Layer.succeed(Notices, notices))
      ))
      return Effect.scoped(Effect.andThen(built, eventually("it has looked", Effect.sync(() => said.length > 0)).pipe(Effect.timeout("5 seconds"), Effect.ignore)))
    }).pipe(Effect.map(() => said.join(", ")))
    assert.strictEqual(yield* look, "slot_near_loss is over")
    let seen = ""
    for (let n = 0; n < 40 && !seen.startsWith("slot_near_loss undefined"); n++) {
      server.psql(FILL)
      seen = yield* look
    }
    assert.match(seen, /^slot_near_loss undefined (reserved|extended) near true$/)
    // A slot gives WAL back up to the last snapshot of running transactions; a checkpoint writes one.
    server.psql("CHECKPOINT")
    for (let n = 0; n < 2; n++) server.psql("SELECT pg_replication_slot_advance('watched', pg_current_wal_lsn())")
    assert.strictEqual(yield* look, "slot_near_loss is over")
    for (let n = 0; n < 30; n++) server.psql(FILL)
    server.psql("CHECKPOINT")
    assert.strictEqual(server.psql("SELECT wal_status FROM pg_replication_slots").trim(), "lost")
    assert.strictEqual(yield* look, "slot_near_loss undefined lost near true")
  }), 120_000)
