/** The contract of `ChangeSource` on pg-logical-replication, with both plugins. */
import { inject } from "vitest"
import * as SlotSourcePglr from "../../src/layers/postgres/replication/SlotSourcePglr.ts"
import { testDatabase } from "../support/database.ts"
import { harness, makeSlot, settings, withSettings } from "../support/slots.ts"
import { suite } from "../suites/ChangeSourceSuite.ts"

for (const plugin of inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] as const : ["pgoutput"] as const) {
  const database = testDatabase(`source_pglr_${plugin}`)
  const slotName = `${database.name}_slot`
  makeSlot(database, slotName, plugin)
  suite(`pg-logical-replication, ${plugin}`, withSettings(SlotSourcePglr.layer, settings(database.url, slotName)), harness(database, slotName, plugin))
}
