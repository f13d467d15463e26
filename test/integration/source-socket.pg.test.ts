/** The contract of `ChangeSource` on our own connection, with both plugins. */
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import { inject } from "vitest"
import { testDatabase } from "../support/database.ts"
import { harness, makeSlot, settings, withSettings } from "../support/slots.ts"
import { suite } from "../suites/ChangeSourceSuite.ts"

for (const plugin of inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] as const : ["pgoutput"] as const) {
  const database = testDatabase(`source_${plugin}`)
  const slotName = `${database.name}_slot`
  makeSlot(database, slotName, plugin)
  suite(`socket, ${plugin}`, withSettings(SlotSource.layer, settings(database.url, slotName)), harness(database, slotName, plugin))
}
