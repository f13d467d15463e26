/**
 * The program as its user runs it: processes of their own with an env file, ended at the end of the test or the file whatever
 * happened. From the sources, so that no build is needed: `pack.test.ts` tests the packed form.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { atEnd } from "./atEnd.ts"
import { type Ended, launch, type Running } from "./cli.ts"
import { eventually } from "./database.ts"
import { freePort } from "./PostgresServer.ts"

export interface RunningProgram extends Running {
  readonly pid: number
  /** `kill -9`, and waits for its end. */
  crash(): Promise<Ended>
  /** SIGTERM, and waits for its end. */
  stop(): Promise<Ended>
}

export interface Program {
  readonly slot: string
  readonly apiPort: number
  readonly healthPort: number
  readonly envFile: string
  /** Any command, with the env file. */
  command(...args: ReadonlyArray<string>): Promise<Ended>
  /** The same, and does not wait for its end. */
  launched(name: string, ...args: ReadonlyArray<string>): RunningProgram
  /** Fails when it does not succeed. */
  init(...args: ReadonlyArray<string>): Promise<Ended>
  /** Does not wait for anything. */
  start(...args: ReadonlyArray<string>): RunningProgram
  /** `start`, but the process kills itself (`kill -9`) at the `count`-th time that it comes to the fail point. */
  startFailing(failPoint: string, count: number): RunningProgram
  /** Waits until it follows the slot, which it says at level info. */
  run(...args: ReadonlyArray<string>): Promise<RunningProgram>
}

export interface ProgramOptions {
  readonly url: string
  readonly slot: string
  /** Where subscriptions and deliveries are kept. Default: the source. */
  readonly storeUrl?: string
  /** More settings, for the env file. */
  readonly settings?: Readonly<Record<string, string>>
  /** What `buildBinary` answers. Default: the sources. */
  readonly binary?: string
}

const following = "Following the slot."

const failing = join(import.meta.dirname, "failingMain.ts")

const started = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}, entry?: string): RunningProgram => {
  const running = launch(args, env, process.cwd(), entry)
  const end = (signal: NodeJS.Signals) => () => {
    running.child.kill(signal)
    return running.ended
  }
  return { ...running, pid: running.child.pid!, crash: end("SIGKILL"), stop: end("SIGTERM") }
}

/** In a test, or at the top of a test file. */
export const makeProgram = async (options: ProgramOptions): Promise<Program> => {
  const folder = mkdtempSync(join(tmpdir(), "pgstream-e2e-"))
  const all: Array<RunningProgram> = []
  atEnd(async () => {
    await Promise.all(all.map((running) => running.crash()))
    rmSync(folder, { recursive: true, force: true })
  })
  const apiPort = await freePort()
  const healthPort = await freePort()
  const settings = {
    PGSTREAM_POSTGRES_LISTENER_URL: options.url,
    PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: options.slot,
    PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: options.storeUrl ?? options.url,
    PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${apiPort}`,
    PGSTREAM_HEALTH_CHECK_ADDRESS: `127.0.0.1:${healthPort}`,
    ...options.settings
  }
  const envFile = join(folder, "pgstream.env")
  writeFileSync(envFile, Object.entries(settings).map(([name, value]) => `${name}="${value}"\n`).join(""))
  const kept = (running: RunningProgram): RunningProgram => {
    all.push(running)
    return running
  }
  const start = (...args: ReadonlyArray<string>) => kept(started(["run", "-c", envFile, ...args], {}, options.binary))
  const startFailing = (failPoint: string, count: number) =>
    kept(started(["run", "-c", envFile, "--log-level", "warn"], { TEST_FAIL_POINT: failPoint, TEST_FAIL_COUNT: String(count) }, failing))
  const command = ([name = "", ...args]: ReadonlyArray<string>) => launch([name, "-c", envFile, ...args], {}, process.cwd(), options.binary).ended
  return {
    slot: options.slot, apiPort, healthPort, envFile,
    command: (...args) => command(args),
    launched: (name, ...args) => kept(started([name, "-c", envFile, ...args], {}, options.binary)),
    init: async (...args) => {
      const ended = await command(["init", ...args])
      if (ended.code !== 0) throw new Error(`pgstream init ended with ${ended.code}: ${ended.stderr}`)
      return ended
    },
    start,
    startFailing,
    run: async (...args) => {
      const running = start(...args)
      await eventually("it follows the slot", () => {
        if (running.child.exitCode !== null) throw new Error(`pgstream run ended with ${running.child.exitCode}: ${running.stderr()}`)
        return running.stderr().includes(following)
      })
      return running
    }
  }
}

export interface ApiAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export const callApi = async (program: Program, path: string, payload: object): Promise<ApiAnswer> => {
  const response = await fetch(`http://127.0.0.1:${program.apiPort}${path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(payload)
  })
  return { status: response.status, body: await response.json() as ApiAnswer["body"] }
}

export const subscribe = (program: Program, payload: object): Promise<ApiAnswer> => callApi(program, "/webhooks/subscribe", payload)
