/**
 * The Postgres of the whole run, in this order: a container of `PGSTREAM_TEST_IMAGE` (needs a Docker engine, such as
 * `postgres:17`), the superuser's `TEST_DATABASE_URL` on loopback, else a server of our own (`PostgresServer`).
 *
 * Client programs (psql, pg_dump) and the servers that single tests start come from `PostgresServer.findBin` anyway.
 */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { findBin, startServer } from "./PostgresServer.ts"

export interface SharedServer {
  readonly port: number
  readonly bin: string
  /** Major version. */
  readonly version: number
  readonly hasWal2json: boolean
  /** `""`: none that this machine can reach. */
  readonly socketDir: string
  stop(): Promise<void>
}

const settings = {
  wal_level: "logical", max_wal_senders: "100", max_replication_slots: "400", max_connections: "300",
  max_prepared_transactions: "20", fsync: "off"
}

const ask = (bin: string, port: number, sql: string): string => {
  const psql = existsSync(join(bin, "psql")) ? join(bin, "psql") : "psql"
  return execFileSync(psql, ["-XqAt", "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", "postgres", "-c", sql], {
    encoding: "utf8", stdio: ["ignore", "pipe", "ignore"]
  }).trim()
}

const canWal2json = (bin: string, port: number): boolean => {
  try {
    ask(bin, port, "SELECT pg_create_logical_replication_slot('pgstream_wal2json_probe', 'wal2json', true)")
    return true
  } catch {
    return false
  }
}

const described = (port: number, stop: () => Promise<void>): SharedServer => {
  const bin = findBin()
  return {
    port, bin, socketDir: "", stop,
    version: Math.floor(Number(ask(bin, port, "SHOW server_version_num")) / 10_000),
    hasWal2json: canWal2json(bin, port)
  }
}

const container = async (image: string): Promise<SharedServer> => {
  const { GenericContainer, Wait } = await import("testcontainers")
  const started = await new GenericContainer(image)
    .withEnvironment({ POSTGRES_HOST_AUTH_METHOD: "trust" })
    .withCommand(["postgres", ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])])
    .withExposedPorts({ container: 5432, host: 0 })
    .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
    .start()
  return described(started.getMappedPort(5432), async () => void await started.stop())
}

const given = (text: string): SharedServer => {
  const url = new URL(text)
  if (!["127.0.0.1", "localhost"].includes(url.hostname) || url.username !== "postgres") {
    throw new Error("TEST_DATABASE_URL must name a server on 127.0.0.1 and its superuser postgres: the tests make and drop databases and slots there.")
  }
  process.env["PGPASSWORD"] = decodeURIComponent(url.password)
  return described(Number(url.port || "5432"), () => Promise.resolve())
}

export const sharedServer = (): Promise<SharedServer> => {
  const image = process.env["PGSTREAM_TEST_IMAGE"] ?? ""
  const url = process.env["TEST_DATABASE_URL"] ?? ""
  if (image !== "") return container(image)
  return url === "" ? startServer() : Promise.resolve(given(url))
}
