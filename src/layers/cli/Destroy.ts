/** `pgstream destroy`, and its old name `tear-down`. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { Setup } from "../../services/Setup.ts"
import { CommandFailed } from "./Failure.ts"
import { configure, say, settingsOf } from "./Globals.ts"
import * as Logging from "./Logging.ts"

export interface Flags {
  readonly postgresUrl: Option.Option<string>
  readonly replicationSlot: Option.Option<string>
  /** Called by its old name. */
  readonly deprecated: boolean
}

export const run = Effect.fn("cli.destroy.run")(function*(flags: Flags) {
  const loaded = yield* configure({
    "source.url": { flag: "--postgres-url", value: flags.postgresUrl },
    "source.slot": { flag: "--replication-slot", value: flags.replicationSlot }
  }, { needTarget: false })
  const settings = yield* settingsOf(loaded)
  if (flags.deprecated) yield* say("tear-down is deprecated, please use destroy")
  yield* say(flags.deprecated ? "tearing down pgstream..." : "destroying pgstream...")
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  const report = yield* Setup.use((setup) => setup.destroy).pipe(
    Effect.provide(setupLayer(settings)), Effect.provide(Logging.layer(settings.log))
  )
  for (const note of report.notes) yield* say(`NOTE  ${note}`)
  if (!report.slotExisted) {
    return yield* new CommandFailed({
      exitCode: 1,
      text: `Cannot drop replication slot "${settings.source.slotName}": it is not there.\n\n`
        + `  A slot of another name would go on holding WAL. Slots of this server:\n`
        + `    psql -c "SELECT slot_name, database, active FROM pg_replication_slots"\n\n`
        + `Everything else was removed.  SlotMissing`
    })
  }
  yield* say(`SUCCESS  pgstream ${flags.deprecated ? "tear down" : "destroy"} complete`)
})
