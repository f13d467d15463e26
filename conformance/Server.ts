/** The Postgres of a job: one of our own, or the one that TEST_DATABASE_URL names. */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { startServer } from "../test/support/PostgresServer.ts"
import type { Plugin } from "./Rule.ts"

export interface Server {
  url(database: string): string
  readonly port: number
  /** Reads SQL from stdin and goes on after an error, as the golden runs did. */
  psql(database: string, sql: string): Promise<string>
  readonly plugins: ReadonlyArray<Plugin>
  readonly major: number
  stop(): Promise<void>
}

const psqlWith = (command: string, url: string, sql: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, ["-X", "-q", "-A", "-t", "-f", "-", url], { stdio: ["pipe", "pipe", "pipe"] })
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => { out += text })
    child.stderr.resume()
    child.once("error", reject)
    child.once("close", (code) => {
      if (code === 0 || code === 3) resolve(out.trim())
      else reject(new Error(`psql ended with ${code}`))
    })
    child.stdin.end(sql)
  })

const describe = async (psql: Server["psql"]): Promise<Pick<Server, "plugins" | "major">> => {
  const major = Math.floor(Number(await psql("postgres", "SHOW server_version_num")) / 10_000)
  const made = await psql("postgres", `SET output_plugin_libraries = pgoutput, test_decoding, wal2json;
    SELECT slot_name FROM pg_create_logical_replication_slot('conformance_probe', 'wal2json', true)`)
  return { major, plugins: made === "" ? ["pgoutput"] : ["pgoutput", "wal2json"] }
}

const ownServer = async (): Promise<Server> => {
  const server = await startServer()
  const own = join(server.bin, "psql")
  const command = existsSync(own) ? own : "psql"
  const psql: Server["psql"] = (database, sql) => psqlWith(command, server.url(database), sql)
  return { port: server.port, url: (database) => server.url(database), psql, stop: () => server.stop(), ...await describe(psql) }
}

const givenServer = async (given: string): Promise<Server> => {
  const url = (database: string) => {
    const parsed = new URL(given)
    parsed.pathname = `/${database}`
    return parsed.href
  }
  const psql: Server["psql"] = (database, sql) => psqlWith("psql", url(database), sql)
  return { port: Number(new URL(given).port || "5432"), url, psql, stop: () => Promise.resolve(), ...await describe(psql) }
}

/** Own servers, so that the roles of one job's scenarios are not seen by another's. */
export const startServers = async (jobs: number): Promise<ReadonlyArray<Server>> => {
  const given = process.env["TEST_DATABASE_URL"]
  if (given !== undefined && given !== "") return [await givenServer(given)]
  return Promise.all(Array.from({ length: jobs }, ownServer))
}

const rolesQuery = "SELECT coalesce(json_agg(rolname), '[]')::text FROM pg_roles"

export const rolesOf = async (server: Server): Promise<ReadonlyArray<string>> =>
  JSON.parse(await server.psql("postgres", rolesQuery)) as ReadonlyArray<string>

const identifier = (name: string) => `"${name.replaceAll(`"`, `""`)}"`

/** What a scenario left behind: prepared transactions, sessions, slots, the database, roles that were not there before. */
export const cleanUp = async (server: Server, database: string, rolesBefore: ReadonlyArray<string>): Promise<void> => {
  const gids = await server.psql("postgres", `SELECT gid FROM pg_prepared_xacts WHERE database = '${database}'`)
  for (const gid of gids.split("\n").filter((line) => line !== "")) {
    await server.psql(database, `ROLLBACK PREPARED '${gid.replaceAll("'", "''")}'`)
  }
  const left = `SELECT count(*) FROM pg_database WHERE datname = '${database}'`
  for (let attempt = 0; attempt < 50 && await server.psql("postgres", left) !== "0"; attempt++) {
    await server.psql("postgres", `
      SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '${database}' AND active_pid IS NOT NULL;
      SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${database}' AND active_pid IS NULL;
      DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
  }
  const roles = (await rolesOf(server)).filter((role) => !rolesBefore.includes(role))
  for (const role of roles) await server.psql("postgres", `DROP OWNED BY ${identifier(role)}; DROP ROLE ${identifier(role)}`)
}
