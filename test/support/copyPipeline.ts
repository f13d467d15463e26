/** The whole pipeline in this process, with small ranges, and grips for the rules of a copy. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as CopyRules from "../../src/domain/copy/CopyRules.ts"
import { pipelineLayer } from "../../src/layers/app/AppLive.ts"
import { load, usable } from "../../src/layers/app/Configuration.ts"
import { pipeline } from "../../src/layers/app/RunPipeline.ts"
import { SnapshotterGrips } from "../../src/layers/pipeline/Snapshotter.ts"
import * as CopyRequestsPg from "../../src/layers/postgres/copy/CopyRequestsPg.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { type Copy, CopyRequests, type CopyRequestsError, type CopySpec } from "../../src/services/CopyRequests.ts"
import { SourceSettings } from "../../src/services/Settings.ts"
import { atEnd } from "./atEnd.ts"
import { eventually, testDatabase } from "./database.ts"
import { freePort } from "./PostgresServer.ts"
import { startReceiver } from "./Receiver.ts"
import { init } from "./setup.ts"
import { settings as sourceSettings } from "./slots.ts"

export interface CopyPipelineOptions {
  readonly url: string
  readonly slot: string
  readonly rules?: CopyRules.CopyRules
  readonly chunkBytes?: number
  readonly env?: Readonly<Record<string, string>>
}

export interface CopyPipeline {
  /** The port of its API. */
  readonly apiPort: number
  stop(): Promise<void>
}

export const startCopyPipeline = async (options: CopyPipelineOptions): Promise<CopyPipeline> => {
  const apiPort = await freePort()
  const env = {
    PGSTREAM_POSTGRES_LISTENER_URL: options.url,
    PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: options.slot,
    PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: options.url,
    PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${apiPort}`,
    PGSTREAM_HEALTH_CHECK_ADDRESS: `127.0.0.1:${await freePort()}`,
    ...options.env
  }
  const program = Effect.gen(function*() {
    const loaded = yield* Effect.flatMap(load({ file: undefined, flags: {}, needTarget: true, env }), usable)
    const settings = { ...loaded, snapshot: { ...loaded.snapshot, chunkBytes: options.chunkBytes ?? 4_096 } }
    yield* pipeline.pipe(
      Effect.provideService(SnapshotterGrips, { rules: options.rules ?? CopyRules.all }),
      Effect.provide(pipelineLayer(settings))
    )
  })
  const fiber = Effect.runFork(process.env["PGSTREAM_TEST_LOG"] === undefined ? Effect.provide(program, Logger.layer([])) : program)
  const failed: Array<unknown> = []
  fiber.addObserver((exit) => { if (exit._tag === "Failure") failed.push(exit.cause) })
  const stop = () => Effect.runPromise(Effect.asVoid(Fiber.interrupt(fiber)))
  atEnd(stop)
  await eventually("the API answers", async () => {
    if (failed.length > 0) throw new Error(`The pipeline ended: ${String(failed[0])}`)
    return fetch(`http://127.0.0.1:${apiPort}/webhooks/subscriptions`).then((response) => response.ok, () => false)
  })
  return { apiPort, stop }
}

export const withRequests = <A, E>(
  options: Pick<CopyPipelineOptions, "url" | "slot">, use: (requests: CopyRequests["Service"]) => Effect.Effect<A, E>
): Promise<A> =>
  Effect.flatMap(CopyRequests, use).pipe(
    Effect.provide(CopyRequestsPg.layer.pipe(
      Layer.provide(Sql.layerSource),
      Layer.provide(Layer.succeed(SourceSettings, sourceSettings(options.url, options.slot)))
    )),
    Effect.runPromise
  )

export const askFor = async (
  options: Pick<CopyPipelineOptions, "url" | "slot">, tables: ReadonlyArray<string>, more: Partial<CopySpec> = {}
): Promise<Copy> => {
  const names = tables.map((table) => ({ schema: "public", table }))
  const spec: CopySpec = { subscription: undefined, tables: names, where: undefined, mode: "full", repeatable: true, ...more }
  return (await withRequests(options, (requests): Effect.Effect<{ readonly copy: Copy | undefined }, CopyRequestsError> => requests.create(spec))).copy!
}

export const copyNow = (options: Pick<CopyPipelineOptions, "url" | "slot">, id: string): Promise<Copy> =>
  withRequests(options, (requests) => requests.get(id))

/** Waits until it is over; fails unless it is done. */
export const copyDone = async (options: Pick<CopyPipelineOptions, "url" | "slot">, id: string, timeoutMs = 60_000): Promise<Copy> => {
  let copy = await copyNow(options, id)
  await eventually(`copy ${id} is over`, async () => {
    copy = await copyNow(options, id)
    return ["done", "failed", "cancelled"].includes(copy.state)
  }, timeoutMs)
  if (copy.state !== "done") throw new Error(`Copy ${id} is ${copy.state}: ${copy.error} ${JSON.stringify(copy.progress)}`)
  return copy
}

/** A database with `sql` and a slot, and a receiver that nothing is subscribed to yet. */
export const copySource = async (label: string, sql: string) => {
  const database = testDatabase(label)
  const where = { url: database.url, slot: `${database.name}_s` }
  database.psql(sql)
  await init(database.url, where.slot)
  const receiver = await startReceiver()
  atEnd(() => receiver.close())
  return { database, where, receiver }
}
