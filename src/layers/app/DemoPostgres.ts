/** The demo's own Postgres: made once, started and stopped with us, its data kept for the next start. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chownSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { findPlace, type DemoPlace } from "./DemoBinaries.ts"
import { DemoError } from "./DemoError.ts"

export interface DemoPostgres {
  readonly folder: string
  readonly url: string
  /** Made by this very start. */
  readonly fresh: boolean
}

const START_LIMIT_MS = 60_000

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/** `wanted` if it is free, else any. */
export const freePort = (wanted: number): Effect.Effect<number> =>
  Effect.promise(async () => {
    if (await isFree(wanted)) return wanted
    return new Promise<number>((resolve, reject) => {
      const server = createServer()
      server.once("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
      })
    })
  })

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** The command line of a process, as far as this system tells. A number alone says nothing: numbers come again. */
const commandOf = (pid: number): string => {
  try {
    return existsSync("/proc/self/cmdline")
      ? readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      : execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
  } catch {
    return ""
  }
}

/** The process that a pid file names, if it is there and its command line has `part`. */
const pidIn = (path: string, part: string): number | undefined => {
  if (!existsSync(path)) return undefined
  const pid = Number(readFileSync(path, "utf8").split("\n")[0])
  return Number.isInteger(pid) && pid > 0 && alive(pid) && commandOf(pid).includes(part) ? pid : undefined
}

const failed = (code: string, summary: string, mend: string) => new DemoError({ code, exitCode: 1, summary, mend })

const as = (place: DemoPlace) => (place.user === undefined ? {} : { uid: place.user.uid, gid: place.user.gid })

const environment = (): NodeJS.ProcessEnv => {
  const { PATH, HOME, TZ } = process.env
  return { PATH, HOME, TZ, LC_ALL: "C" }
}

/** First start: cluster, password, settings. Cut off in the middle, the next start begins anew. */
const makeCluster = (place: DemoPlace, data: string): void => {
  const passwordFile = join(place.folder, "password")
  rmSync(data, { recursive: true, force: true })
  writeFileSync(passwordFile, randomBytes(12).toString("hex"), { mode: 0o600 })
  if (place.user !== undefined) chownSync(passwordFile, place.user.uid, place.user.gid)
  const args = ["-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", passwordFile, "--locale=C", "-E", "UTF8", "--no-sync"]
  execFileSync(join(place.bin, "initdb"), args, { ...as(place), cwd: place.folder, env: environment(), stdio: ["ignore", "ignore", "pipe"] })
  writeFileSync(join(place.folder, "made"), "")
}

const launch = (place: DemoPlace, data: string, port: number): ChildProcess => {
  const log = openSync(join(place.folder, "postgres.log"), "a")
  if (place.user !== undefined) chownSync(join(place.folder, "postgres.log"), place.user.uid, place.user.gid)
  const settings = ["wal_level=logical", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_wal_senders=10", "max_replication_slots=10"]
  const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])]
  // A group of its own: Ctrl-C reaches us alone, and we stop Postgres last.
  const child = spawn(join(place.bin, "postgres"), args, { ...as(place), cwd: place.folder, env: environment(), stdio: ["ignore", log, log], detached: true })
  closeSync(log)
  return child
}

const ready = (child: ChildProcess, place: DemoPlace, data: string, port: number) =>
  Effect.gen(function*() {
    const deadline = Date.now() + START_LIMIT_MS
    // Line 8 of postmaster.pid says `ready` once connections are accepted.
    const isReady = () => {
      if (!existsSync(join(data, "postmaster.pid"))) return false
      const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")
      return Number(lines[0]) === child.pid && lines[7]?.startsWith("ready") === true
    }
    while (!isReady()) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        return yield* failed("DemoPostgresFailed", `The demo's Postgres did not start on port ${port}.`, `Its log says why:   tail ${join(place.folder, "postgres.log")}`)
      }
      yield* Effect.sleep(50)
    }
  })

const stop = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGINT")
  })

/** A Postgres that a killed demo left behind in our folder ends first. */
const endLeftover = (data: string) =>
  Effect.gen(function*() {
    const path = join(data, "postmaster.pid")
    const pid = pidIn(path, data)
    if (pid === undefined) return
    process.kill(pid, "SIGINT")
    const deadline = Date.now() + START_LIMIT_MS
    while (alive(pid)) {
      if (Date.now() > deadline) return yield* failed("DemoPostgresFailed", `A Postgres of an earlier demo (pid ${pid}) does not end.`, `kill -QUIT ${pid}`)
      yield* Effect.sleep(50)
    }
  })

/** One demo a folder. */
const claim = (folder: string) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const path = join(folder, "demo.pid")
      const other = pidIn(path, "pgstream")
      if (other !== undefined && other !== process.pid) {
        return failed("DemoRunning", `Cannot start the demo in ${folder}: it is running there, pid ${other}.`, `Stop that one, or choose another folder:   PGSTREAM_DEMO_DIR=/some/folder npm start`)
      }
      writeFileSync(path, String(process.pid))
      return Effect.succeed(path)
    }),
    (path) => Effect.sync(() => rmSync(path, { force: true }))
  )

export const start: Effect.Effect<DemoPostgres, DemoError, Scope.Scope> = Effect.gen(function*() {
  const place = yield* Effect.try({
    try: findPlace,
    catch: (cause) => cause instanceof DemoError ? cause : failed("DemoPostgresFailed", `Cannot prepare the demo's folder: ${String(cause)}`, "Choose another:   PGSTREAM_DEMO_DIR=/some/folder npm start")
  })
  yield* claim(place.folder)
  const data = join(place.folder, "data")
  const fresh = !existsSync(join(place.folder, "made"))
  if (fresh) {
    yield* Effect.try({
      try: () => makeCluster(place, data),
      catch: (cause) => failed("DemoPostgresFailed", `initdb failed: ${cause instanceof Error ? cause.message : String(cause)}`, `Is there room in ${place.folder}?`)
    })
  } else {
    yield* endLeftover(data)
  }
  const port = yield* freePort(54_329)
  const child = yield* Effect.acquireRelease(Effect.sync(() => launch(place, data, port)), stop)
  // A second signal ends this process at once: Postgres must not stay behind.
  const last = () => void child.kill("SIGINT")
  yield* Effect.acquireRelease(Effect.sync(() => process.on("exit", last)), () => Effect.sync(() => process.off("exit", last)))
  yield* ready(child, place, data, port)
  const password = readFileSync(join(place.folder, "password"), "utf8").trim()
  return { folder: place.folder, fresh, url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres?sslmode=disable` }
})
