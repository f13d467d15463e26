/**
 * Everything around the pipeline fails at random moments, under load: Postgres is shut down at once (as
 * `pg_ctl -m immediate`), the walsender is ended, the connections go silent half-way (a TCP proxy), the process is killed.
 *
 * Long: `PGSTREAM_CHAOS_ROUNDS=20 npx vitest run test/integration/chaos.pg.test.ts`; PGSTREAM_CHAOS_FAULTS: faults a round.
 */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, inject, it } from "vitest"
import { atEnd } from "../support/atEnd.ts"
import type { RunningProgram } from "../support/binary.ts"
import { startLoad } from "../support/binaryLoad.ts"
import { finish, prepare, type Scene, WRITER_PAUSE_MS, WRITERS } from "../support/chaos.ts"
import type { TestDatabase } from "../support/database.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { startProxy, type TcpProxy } from "../support/TcpProxy.ts"
import { Random } from "../simulation/Random.ts"

const setting = (name: string, standard: number) => Number(process.env[name] ?? standard)
const SEED = setting("PGSTREAM_CHAOS_SEED", 5)
const ROUNDS = setting("PGSTREAM_CHAOS_ROUNDS", 1)
const FAULTS = setting("PGSTREAM_CHAOS_FAULTS", 8)
/** New events that the next fault waits for: the pipeline has come back from the last one. */
const LEAST_EVENTS = 5
/** Each of our SQL connections may have to be found silent, after 20 s, one after the other. */
const RECOVERY_MS = 120_000

const faults = ["postgres", "walsender", "silence", "process"] as const
type Fault = (typeof faults)[number]

const databaseOn = (server: PostgresServer, name: string): TestDatabase => {
  server.psql(`CREATE DATABASE ${name}`)
  return {
    name, port: server.port, url: server.url(name),
    psql: (sql) => execFileSync(join(server.bin, "psql"), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
      "-p", String(server.port), "-U", "postgres", "-d", name, "-f", "-"], { encoding: "utf8", input: sql, stdio: ["pipe", "pipe", "pipe"], maxBuffer: 256 * 1024 * 1024 })
  }
}

interface Chaos {
  readonly scene: Scene
  readonly server: PostgresServer
  readonly proxy: TcpProxy
  running: RunningProgram
}

const happen = async (chaos: Chaos, fault: Fault): Promise<void> => {
  const { proxy, scene, server } = chaos
  switch (fault) {
    case "postgres":
      await server.crash()
      return server.start()
    case "walsender":
      return void server.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL")
    case "silence":
      return proxy.silence()
    case "process":
      await chaos.running.crash()
      chaos.running = scene.program.start("--log-level", "info")
  }
}

/** Until the stream has come back: events came that never came before. */
const recovered = async (chaos: Chaos, after: Fault | "start", least: number): Promise<void> => {
  const { byKey } = chaos.scene
  const highest = () => byKey.requests.reduce((most, { sequence }) => Math.max(most, sequence), 0)
  const [before, deadline] = [highest(), Date.now() + RECOVERY_MS]
  while (highest() - before < least) {
    const { child } = chaos.running
    if (child.exitCode !== null) throw new Error(`after ${after}: pgstream run ended with ${child.exitCode}: ${chaos.running.stderr()}`)
    if (Date.now() > deadline) throw new Error(`after ${after}: nothing was sent for ${RECOVERY_MS} ms: ${chaos.running.stderr().slice(-4_000)}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const round = async (seed: number, plugin: string): Promise<string> => {
  // What a walsender of a killed process holds through the silent proxy is free again after this.
  const server = await startServer({ conf: ["wal_sender_timeout = 5s"] })
  atEnd(() => server.stop())
  const proxy = await startProxy(server.port)
  atEnd(() => proxy.close())
  const database = databaseOn(server, `chaos_${plugin}`)
  const scene = await prepare(database, seed, plugin, {
    url: database.url.replace(`:${server.port}/`, `:${proxy.port}/`),
    settings: { PGSTREAM_POSTGRES_REPLICATION_SILENCE_INTERVAL: "1s", PGSTREAM_POSTGRES_LISTENER_BACKOFF_INTERVAL: "100ms" }
  })
  const random = new Random(seed)
  const chaos: Chaos = { scene, server, proxy, running: scene.program.start("--log-level", "info") }
  const load = startLoad(database.name, Array.from({ length: WRITERS }, (_, n) => new Random(seed * 100 + n)), WRITER_PAUSE_MS, server.port)
  let last: Fault | "start" = "start"
  const happened: Array<Fault> = []
  for (let n = 0; n < FAULTS; n++) {
    await recovered(chaos, last, LEAST_EVENTS + random.int(0, 100))
    last = n < faults.length ? faults[n]! : random.pick(faults)
    happened.push(last)
    await happen(chaos, last)
  }
  await recovered(chaos, last, LEAST_EVENTS)
  await load.stop()
  const ended = await chaos.running.stop()
  assert.notMatch(ended.stderr, /Defect|by a fault of its own/)
  return `${happened.join(" ")}: ${await finish(scene)}`
}

describe("everything around it fails, under load", () => {
  const plugins = inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    it(`seed ${seed}: every committed change arrives, in order, under one id`, async () => {
      const line = await round(seed, plugins[seed % plugins.length]!)
      process.stdout.write(`chaos seed ${seed}: ${line}\n`)
    }, 600_000)
  }
})
