/** `pgstream run` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Plugin } from "../../services/ChangeSource.ts"
import { Setup } from "../../services/Setup.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { notThereYet } from "./Failure.ts"
import { configure, settingsOf } from "./Globals.ts"
import { initialise } from "./Init.ts"
import * as Logging from "./Logging.ts"

export interface Flags {
  readonly postgresUrl: Option.Option<string>
  readonly replicationSlot: Option.Option<string>
  readonly plugin: Option.Option<Plugin>
  readonly init: boolean
  readonly source: Option.Option<"postgres" | "kafka">
  readonly sourceUrl: Option.Option<string>
  readonly target: Option.Option<string>
  readonly withInjector: boolean
  readonly snapshotTables: Option.Option<string>
}

const DEFAULT_WAIT_MS = 300_000

const checked = (settings: AppSettings) =>
  Effect.gen(function*() {
    const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
    yield* Setup.use((setup) => setup.check).pipe(Effect.provide(setupLayer(settings)))
  })

export const run = Effect.fn("cli.run")(function*(flags: Flags) {
  if (Option.contains(flags.source, "kafka")) return yield* notThereYet("--source kafka", "Postgres is the only source.")
  if (Option.isSome(flags.target) && flags.target.value !== "webhooks") {
    return yield* notThereYet("--target", "webhooks are the only target; they subscribe at the API.")
  }
  const injector = Option.isSome(flags.source) || flags.withInjector ? Option.some("true") : Option.none<string>()
  const loaded = yield* configure({
    "source.url": { flag: "--postgres-url", value: Option.orElse(flags.postgresUrl, () => flags.sourceUrl) },
    "source.slot": { flag: "--replication-slot", value: flags.replicationSlot },
    "source.plugin": { flag: "--plugin", value: flags.plugin },
    "snapshot.tables": { flag: "--snapshot-tables", value: flags.snapshotTables },
    "injector.enabled": { flag: "--source", value: injector }
  }, { needTarget: true })
  const settings = yield* settingsOf(loaded)
  yield* Effect.gen(function*() {
    if (flags.init) yield* initialise(settings, { adopt: false, keepIdentities: false, waitMs: DEFAULT_WAIT_MS })
    // A copy alone needs no slot; where there is one, it checks the same.
    if (settings.snapshot.mode !== "snapshot") yield* checked(settings)
    yield* inMode(settings)
  }).pipe(Effect.provide(Logging.layer(settings.log)))
})

/** The stream alone; or with a copy of the rows that are there; or the copy alone, which ends. */
const inMode = Effect.fnUntraced(function*(settings: AppSettings) {
  const { runPipeline } = yield* Effect.promise(() => import("../app/RunPipeline.ts"))
  if (settings.snapshot.mode === "replication") return yield* runPipeline(settings)
  const copies = yield* Effect.promise(() => import("./RunCopy.ts"))
  if (settings.snapshot.mode === "snapshot") return yield* copies.copyAlone(settings)
  yield* copies.copyBeside(settings, runPipeline(settings))
})
