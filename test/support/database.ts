/** A database of a test file's own on the run's Postgres: dropped at the end with its slots, whatever happened. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"
import { atEnd } from "./atEnd.ts"

export interface TestDatabase {
  readonly name: string
  readonly url: string
  readonly port: number
  /** Runs SQL (several statements, psql syntax) and returns unaligned rows. */
  psql(sql: string): string
}

const psqlPath = () => {
  const own = join(inject("postgresBin"), "psql")
  return existsSync(own) ? own : "psql"
}

export const psqlOn = (database: string, sql: string): string =>
  execFileSync(psqlPath(), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(inject("postgresPort")), "-U", "postgres", "-d", database, "-f", "-"], { encoding: "utf8", input: sql, stdio: ["pipe", "pipe", "pipe"], maxBuffer: 256 * 1024 * 1024 })

/** Ends readers of the database's slots, drops the slots and the database. */
export const dropDatabase = (name: string): void => {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      psqlOn("postgres", `
        SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '${name}' AND active_pid IS NOT NULL;
        SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}' AND active_pid IS NULL;`)
      psqlOn("postgres", `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
      return
    } catch (error) {
      if (attempt === 49) throw error
    }
  }
}

let counter = 0
/** Called in a test, the database lives until the test's end; else until the file's. */
export const testDatabase = (label: string): TestDatabase => {
  const name = `t_${label.toLowerCase().replace(/[^a-z0-9]+/g, "_")}_${process.pid}_${counter++}`
  psqlOn("postgres", `CREATE DATABASE "${name}"`)
  atEnd(() => dropDatabase(name))
  const port = inject("postgresPort")
  return {
    name, port,
    url: `postgres://postgres:postgres@127.0.0.1:${port}/${name}?sslmode=disable`,
    psql: (sql) => psqlOn(name, sql)
  }
}

/** Polls until `check` is true, or fails at the deadline with `what`. */
export const eventually = async (what: string, check: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> => {
  const deadline = Date.now() + timeoutMs
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
