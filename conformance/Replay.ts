/**
 * A scenario through the real binary: a database of its own, `init`, `run`, a subscription for everything at an endpoint
 * with total order, the SQL as psql runs it, and what the receiver got until the slot has passed all of it.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { join } from "node:path"
import * as Facts from "./Facts.ts"
import { startReceiver } from "./Receiver.ts"
import type { InjectorSetting, Plugin } from "./Rule.ts"
import { cleanUp, rolesOf, type Server } from "./Server.ts"

export const binary = process.env["PGSTREAM_BIN"] ?? join(import.meta.dirname, "../bin/pgstream.cjs")

/** From the end of the SQL until the slot has passed it. */
const DEADLINE_MS = 60_000
const POLL_MS = 100

export interface Replayed {
  readonly bodies: ReadonlyArray<string>
  readonly facts: Facts.Facts
  /** What went wrong besides the payloads; empty when all is well. */
  readonly problems: ReadonlyArray<string>
}

interface Process {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  log(): string
}

const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>): Process => {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PG")))
  const child = spawn(process.execPath, [binary, ...args], { env: { ...inherited, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  let log = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => { log += text })
  child.stderr.setEncoding("utf8").on("data", (text: string) => { log += text })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", resolve)
  })
  return { child, ended, log: () => log }
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Until `done`, the process's end, or the deadline; what stood in the way, if anything. */
const until = async (what: string, run: Process, done: () => Promise<boolean>): Promise<string | undefined> => {
  const deadline = Date.now() + DEADLINE_MS
  while (!(await done())) {
    if (run.child.exitCode !== null) {
      return `pgstream run ended with ${run.child.exitCode} before ${what}: ${run.log().slice(-2000)}`
    }
    if (Date.now() > deadline) return `not within ${DEADLINE_MS} ms: ${what}: ${run.log().slice(-2000)}`
    await wait(POLL_MS)
  }
  return undefined
}

let counter = 0

interface Steps {
  readonly server: Server
  readonly database: string
  readonly sql: string
  readonly plugin: Plugin
  readonly injector: InjectorSetting
}

const environment = ({ database, injector, server }: Steps): Readonly<Record<string, string>> => ({
  PGSTREAM_POSTGRES_LISTENER_URL: server.url(database),
  PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: database,
  PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: server.url(database),
  PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: "127.0.0.1:0",
  PGSTREAM_HEALTH_CHECK_ENABLED: "false",
  ...(injector === "on" ? { PGSTREAM_INJECTOR_STORE_POSTGRES_URL: server.url(database) } : {})
})

const steps = async (given: Steps): Promise<Replayed> => {
  const { database, plugin, server, sql } = given
  const facts = async () => Facts.ofRows(await server.psql(database, Facts.query), server.major)
  const env = environment(given)
  const init = start(["init", "--plugin", plugin], env)
  if (await init.ended !== 0) {
    return { bodies: [], facts: Facts.ofRows("[]", server.major), problems: [`pgstream init failed: ${init.log()}`] }
  }
  const receiver = await startReceiver()
  await server.psql(database, `
    INSERT INTO pgstream.webhook_subscriptions (url, schema_name, table_name, event_types)
      VALUES ('${receiver.url}', '', '', '{I,U,D,T,M}');
    UPDATE pgstream.webhook_endpoints SET order_mode = 'total'`)
  const run = start(["run"], env)
  try {
    const slot = `FROM pg_replication_slots WHERE slot_name = '${database}'`
    const open = await until("the slot is read", run, async () => await server.psql(database, `SELECT active ${slot}`) === "t")
    await server.psql(database, sql.replaceAll("port=55432", `port=${server.port}`))
    const end = await server.psql(database, "SELECT pg_current_wal_insert_lsn()")
    const late = await until("the slot has passed the scenario", run, async () =>
      await server.psql(database, `SELECT confirmed_flush_lsn >= '${end}' ${slot}`) === "t")
    run.child.kill("SIGTERM")
    const code = await run.ended
    const problems = [open, late, code === 0 ? undefined : `pgstream run ended with ${code}`, ...receiver.problems]
    return { bodies: receiver.bodies, facts: await facts(), problems: problems.filter((problem) => problem !== undefined) }
  } finally {
    run.child.kill("SIGKILL")
    await run.ended
    await receiver.close()
  }
}

export const replay = async (server: Server, sql: string, plugin: Plugin, injector: InjectorSetting): Promise<Replayed> => {
  const database = `conformance_${process.pid}_${counter++}`
  const roles = await rolesOf(server)
  await server.psql("postgres", `CREATE DATABASE ${database}`)
  try {
    return await steps({ server, database, sql, plugin, injector })
  } finally {
    await cleanUp(server, database, roles)
  }
}
