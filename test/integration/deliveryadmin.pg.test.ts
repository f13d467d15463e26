import { assert, it } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as DeliveryAdminPg from "../../src/layers/postgres/store/DeliveryAdminPg.ts"
import * as DeliveryLogPg from "../../src/layers/postgres/store/DeliveryLogPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import { DeliveryLogSettings, deliveryLogDefaults } from "../../src/services/DeliverySettings.ts"
import { SecretSettings } from "../../src/services/Settings.ts"
import { suite } from "../suites/DeliveryAdminSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("deliveryadmin")
const layer = Layer.mergeAll(DeliveryAdminPg.layer, DeliveryLogPg.layer, ParkedDeliveriesPg.layer).pipe(
  Layer.provideMerge(SegmentsPg.layer),
  Layer.provide(migratedStore(database.url)),
  Layer.provide(Layer.succeed(DeliveryLogSettings, { ...deliveryLogDefaults, bodies: true }))
)

suite("postgres", layer)
suite("postgres, with a key", layer.pipe(
  Layer.provide(Layer.succeed(SecretSettings, { key: Redacted.make(randomBytes(32)), previous: [] }))
))

it("with a key neither a body nor an answer is stored in the clear", () => {
  const sealed = "substring(body_start FROM 1 FOR 5) = '\\x0070677331'"
  // That of the suite without a key was of 1970: the start of the second one trimmed it.
  assert.strictEqual(database.psql(`SELECT count(*) FILTER (WHERE ${sealed}), count(*) FILTER (WHERE NOT ${sealed}) FROM pgstream.webhook_attempts`).trim(), "1|0")
  const bodies = database.psql("SELECT count(*) FROM pgstream.webhook_successes WHERE body IS NOT NULL AND substring(body FROM 1 FOR 5) = '\\x0070677331'")
  assert.isAbove(Number(bodies), 0)
})
