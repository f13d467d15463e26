/** `Setup` with all that is under it, on real databases. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as CheckpointPg from "../../src/layers/postgres/store/CheckpointPg.ts"
import * as DdlTrackerLayer from "../../src/layers/postgres/schema/DdlTracker.ts"
import * as SetupLayer from "../../src/layers/postgres/setup/Setup.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import * as Lsn from "../../src/domain/Lsn.ts"
import { identifySession, openControl, parseTarget } from "../../src/layers/postgres/replication/createSlot.ts"
import { SourceSettings, StoreSettings } from "../../src/services/Settings.ts"
import { type InitOptions, type InitReport, Setup, type SetupError } from "../../src/services/Setup.ts"
import { settings } from "./slots.ts"

export const initDefaults: InitOptions = {
  plugin: undefined, adopt: false, keepIdentities: false, waitMs: 20_000, progress: () => {}
}

/** `storeUrl`: a store elsewhere. */
export const setupLayer = (url: string, slotName: string, storeUrl?: string) =>
  Layer.mergeAll(SetupLayer.layer, CheckpointPg.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(CheckpointPg.layer, DdlTrackerLayer.layer)),
    Layer.provideMerge(Layer.mergeAll(Sql.layerSource, Sql.layerStore)),
    Layer.provideMerge(Layer.mergeAll(
      Layer.succeed(SourceSettings, settings(url, slotName)),
      Layer.succeed(StoreSettings, { url: Redacted.make(storeUrl ?? url), inSource: storeUrl === undefined, refreshIntervalMs: 60_000 })
    ))
  )

/** One call on layers of its own, as the CLI makes it. */
export const withSetup = <A, E>(url: string, slotName: string, use: (setup: Setup["Service"]) => Effect.Effect<A, E>, storeUrl?: string): Promise<A> =>
  Effect.runPromise(Effect.flatMap(Setup, use).pipe(Effect.provide(setupLayer(url, slotName, storeUrl))))

export const init = (url: string, slotName: string, options: Partial<InitOptions> = {}, storeUrl?: string): Promise<InitReport> =>
  withSetup(url, slotName, (setup) => setup.init({ ...initDefaults, ...options }), storeUrl)

export const initFails = (url: string, slotName: string, options: Partial<InitOptions> = {}, storeUrl?: string): Promise<SetupError> =>
  withSetup(url, slotName, (setup) => Effect.flip(setup.init({ ...initDefaults, ...options })), storeUrl)

export const destroy = (url: string, slotName: string, storeUrl?: string) => withSetup(url, slotName, (setup) => setup.destroy, storeUrl)
export const status = (url: string, slotName: string, storeUrl?: string) => withSetup(url, slotName, (setup) => setup.status, storeUrl)
export const check = (url: string, slotName: string, storeUrl?: string) => withSetup(url, slotName, (setup) => setup.check, storeUrl)
export const checkFails = (url: string, slotName: string, storeUrl?: string): Promise<SetupError> =>
  withSetup(url, slotName, (setup) => Effect.flip(setup.check), storeUrl)

/** More than the other tests of the server write meanwhile. */
const BEYOND_BYTES = 2 ** 30

/** Leaves the slot 64 KiB beyond the end of the WAL, as a reader does that acknowledges what it computed. */
export const acknowledgeBeyond = (url: string, slotName: string, plugin: "pgoutput" | "wal2json" = "wal2json"): Promise<void> =>
  Effect.gen(function*() {
    const session = yield* openControl(yield* parseTarget(Redacted.make(url)), true)
    const { walEnd } = yield* identifySession(session)
    const options = plugin === "wal2json" ? "" : ` (proto_version '1', publication_names 'pgstream')`
    const update = Buffer.alloc(34)
    update[0] = 0x72
    for (const offset of [1, 9, 17]) Lsn.write(update, offset, walEnd + BEYOND_BYTES)
    yield* Effect.promise(() =>
      session.query(`START_REPLICATION SLOT ${slotName} LOGICAL 0/0${options}`, { data: () => {}, notice: () => {}, batch: () => true, failed: () => {} }))
    session.sendCopyData(update)
  }).pipe(Effect.scoped, Effect.runPromise)
