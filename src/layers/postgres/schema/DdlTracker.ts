/**
 * `DdlTracker` on the source database. `layer` does what it is asked; `layerScanning` also looks on its own: at its
 * start, every `intervalMs`, and soon after `request`. An idle database is only read.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { DdlTracker, DdlTrackerError, type LookReport } from "../../../services/DdlTracker.ts"
import * as CatalogLook from "./CatalogLook.ts"
import * as Identities from "./Identities.ts"
import { SourceSql } from "../Sql.ts"

export interface ScanSettings {
  /** `PGSTREAM_SCHEMA_SCAN_INTERVAL`, ms. */
  readonly intervalMs: number
}

export const scanDefaults: ScanSettings = { intervalMs: 10_000 }

/** A look that was asked for waits this long for another looker's. */
const LOOK_ATTEMPTS = 20
const LOOK_PAUSE = Duration.millis(100)

type Operation = DdlTrackerError["operation"]

const failing = (operation: Operation) =>
  Effect.mapError((cause: unknown) => new DdlTrackerError({ operation, cause }))

const make = Effect.fnUntraced(function*(wake: () => void) {
  const sql = yield* SourceSql
  const memory = new CatalogLook.LookMemory()
  const once = (tables?: ReadonlyArray<number>) => sql.withTransaction(CatalogLook.look(sql, memory, tables ?? null))

  const look = Effect.fn("DdlTracker.look")(function*(tables?: ReadonlyArray<number>) {
    for (let attempt = 0; attempt < LOOK_ATTEMPTS; attempt++) {
      const rows = yield* once(tables)
      if (rows !== undefined) return { looked: true, rows } satisfies LookReport
      yield* Effect.sleep(LOOK_PAUSE)
    }
    return { looked: false, rows: 0 } satisfies LookReport
  }, failing("look"))

  /** Records first: what the triggers made FULL is known from their rows only. */
  const restore = Effect.andThen(look(), Identities.giveBack(sql, true, Identities.rounds.atOnce))
  const scan = Effect.gen(function*() {
    const rows = yield* once()
    const full = yield* Identities.ensure(sql, Identities.rounds.scan)
    const back = yield* Identities.giveBack(sql, false, Identities.rounds.scan)
    for (const table of [...full.failed, ...back.failed]) {
      yield* Effect.logDebug("Replica identity not changed yet").pipe(
        Effect.annotateLogs({ schema: table.schema, table: table.name, reason: table.reason }))
    }
    return rows
  })

  const tracker = DdlTracker.of({
    look,
    ensureIdentities: Identities.ensure(sql, Identities.rounds.atOnce).pipe(failing("ensureIdentities")),
    restoreIdentities: restore.pipe(failing("restoreIdentities")),
    uncovered: Identities.uncovered(sql).pipe(failing("uncovered")),
    request: (tables) => {
      if (tables.length === 0) memory.distrust()
      wake()
    }
  })
  return { tracker, scan }
})

export const layer: Layer.Layer<DdlTracker, never, SourceSql> = Layer.effect(
  DdlTracker,
  Effect.map(make(() => {}), ({ tracker }) => tracker)
)

/** A scan that fails is logged once until one succeeds; the next one tries again. */
export const layerScanning = (settings: ScanSettings = scanDefaults): Layer.Layer<DdlTracker, never, SourceSql> =>
  Layer.effect(
    DdlTracker,
    Effect.gen(function*() {
      const asked = yield* Queue.sliding<true>(1)
      const { scan, tracker } = yield* make(() => void Queue.offerUnsafe(asked, true))
      let failedBefore = false
      const guarded = scan.pipe(
        Effect.tap(() => Effect.sync(() => void (failedBefore = false))),
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
          const first = !failedBefore
          failedBefore = true
          return first ? Effect.logWarning("Cannot look at the source's catalog; trying again", cause) : Effect.void
        })
      )
      const pause = Effect.raceFirst(Queue.take(asked), Effect.sleep(Duration.millis(settings.intervalMs)))
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(guarded, pause)))
      return tracker
    })
  )
