/** `pgstream init` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Plugin } from "../../services/ChangeSource.ts"
import { Setup, type InitReport } from "../../services/Setup.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { CommandFailed } from "./Failure.ts"
import { configure, print, sameConfiguration, say, settingsOf } from "./Globals.ts"
import * as Logging from "./Logging.ts"

export interface Flags {
  readonly postgresUrl: Option.Option<string>
  readonly replicationSlot: Option.Option<string>
  readonly plugin: Option.Option<Plugin>
  readonly adopt: boolean
  readonly keepIdentities: boolean
  readonly wait: string
  readonly printSql: boolean
  readonly migrationsOnly: boolean
}

const milliseconds = Effect.fnUntraced(function*(text: string) {
  const { durationMs } = yield* Effect.promise(() => import("../app/Configuration.ts"))
  const ms = durationMs(text)
  if (ms !== undefined && ms >= 0) return ms
  return yield* new CommandFailed({ exitCode: 2, text: `--wait: "${text}" is no duration; write for example 30s or 5m.  Usage` })
})

/** What `init` and `run --init` do; notes and progress go to stderr. */
export const initialise = Effect.fn("cli.init")(function*(
  settings: AppSettings, options: { readonly adopt: boolean; readonly keepIdentities: boolean; readonly waitMs: number }
) {
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  const initialising = Effect.gen(function*() {
    const setup = yield* Setup
    return yield* setup.init({
      plugin: settings.plugin, ...options,
      progress: (line) => void process.stderr.write(`${line}\n`)
    })
  })
  const report: InitReport = yield* initialising.pipe(Effect.provide(setupLayer(settings)))
  for (const note of report.notes) yield* say(`NOTE  ${note}`)
  return report
})

/** A URL may hold a password: it is not repeated. `run` needs the store besides, which has no flag. */
const sameFlags = (flags: Flags): string =>
  `${Option.isSome(flags.postgresUrl) ? " --postgres-url URL" : ""}${Option.match(flags.replicationSlot, { onNone: () => "", onSome: (name) => ` --replication-slot ${name}` })}`

/** The script is the result: it goes to stdout, alone. */
const printSql = Effect.fn("cli.init.sql")(function*(settings: AppSettings, keepIdentities: boolean) {
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  const asked = Setup.use((setup) => setup.sql({ plugin: settings.plugin, keepIdentities }))
  yield* print(yield* asked.pipe(Effect.provide(setupLayer(settings)), Effect.provide(Logging.layer(settings.log))))
})

/** For snapshots without a slot. */
const migrate = Effect.fn("cli.init.migrate")(function*(settings: AppSettings, same: string) {
  const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
  yield* Setup.use((setup) => setup.migrate).pipe(Effect.provide(setupLayer(settings)), Effect.provide(Logging.layer(settings.log)))
  yield* say("SUCCESS  pgstream schema is there; no slot, publication or trigger was made")
  yield* say(`Next:   pgstream subscriptions add URL${same}   pgstream snapshot --tables …${same}`)
})

export const run = Effect.fn("cli.init.run")(function*(flags: Flags) {
  const waitMs = yield* milliseconds(flags.wait)
  const loaded = yield* configure({
    "source.url": { flag: "--postgres-url", value: flags.postgresUrl },
    "source.slot": { flag: "--replication-slot", value: flags.replicationSlot },
    "source.plugin": { flag: "--plugin", value: flags.plugin }
  }, { needTarget: false })
  const settings = yield* settingsOf(loaded)
  if (flags.printSql) return yield* printSql(settings, flags.keepIdentities)
  yield* say("initialising pgstream...")
  if (flags.migrationsOnly) return yield* migrate(settings, `${sameConfiguration(loaded.file)}${sameFlags(flags)}`)
  const report = yield* initialise(settings, { adopt: flags.adopt, keepIdentities: flags.keepIdentities, waitMs }).pipe(
    Effect.provide(Logging.layer(settings.log))
  )
  yield* say("SUCCESS  pgstream initialisation complete")
  const slot = `${report.slotCreated ? "made" : "already there"}, plugin ${report.plugin}`
  yield* say(`Replication slot ${settings.source.slotName}: ${slot}. Next:   pgstream run${sameConfiguration(loaded.file)}${sameFlags(flags)}`)
})
