/**
 * A database of its own with a slot, a program that follows it, and subscribers: made by the program's `init` and its API
 * (`POST /webhooks/subscribe`), so that any program with the same commands and API will do.
 */
import type { PostgresServer } from "../../test/support/PostgresServer.ts"
import { freePort } from "../../test/support/PostgresServer.ts"
import { cpuSeconds, peakMib, type Receiver, type Started, startProgram, stopProgram, wait } from "../processes.ts"
import type { Bench, Metrics, Program } from "./Scenario.ts"
import type { Profiles } from "./Profiles.ts"
import { openSession, type Session } from "./session.ts"

/** An API that does not answer, or a program that does not get on. */
const API_LIMIT_MS = 60_000
const STALL_LIMIT_MS = 120_000

export interface SiteOptions {
  /** Beside `orders`. */
  readonly sql?: string
  readonly subscribers: ReadonlyArray<Subscriber>
  readonly settings?: Readonly<Record<string, string>>
  readonly plugin?: string
}

export interface Subscriber {
  readonly url: string
  /** Default: `orders`. */
  readonly table?: string
  /** Changes of the endpoint, by the API; for programs that have endpoints. */
  readonly patch?: object
  readonly secret?: string
}

/**
 * Rows of about 350 bytes. `fill` writes them at once, so many a transaction; `offer` writes to the clock, in a session of
 * its own, so that what the program does cannot slow the load.
 */
export const ORDERS = `
  CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, state text NOT NULL, note text NOT NULL, at timestamptz NOT NULL);
  CREATE PROCEDURE fill(n int, per int = 100) LANGUAGE plpgsql AS $$ BEGIN
    FOR i IN 1 .. ceil(n::numeric / per)::int LOOP
      INSERT INTO orders (customer, state, note, at)
        SELECT i * per + g, 'paid', repeat(md5((i * per + g)::text), 9), now() FROM generate_series(1, least(per, n - (i - 1) * per)) g;
      COMMIT;
    END LOOP;
  END $$;
  CREATE PROCEDURE offer(commits_per_second float8, per int, seconds float8) LANGUAGE plpgsql AS $$
  DECLARE began timestamptz := clock_timestamp(); n int := 0; BEGIN
    WHILE n < commits_per_second * seconds LOOP
      INSERT INTO orders (customer, state, note, at) SELECT g, 'paid', repeat(md5(g::text), 9), now() FROM generate_series(1, per) g;
      COMMIT;
      n := n + 1;
      PERFORM pg_sleep(greatest(0, n / commits_per_second - extract(epoch FROM clock_timestamp() - began)));
    END LOOP;
  END $$;`

let made = 0

export class Site {
  readonly database: string
  readonly program: Program
  /** For statements that are asked often. */
  readonly session: Session
  private readonly server: PostgresServer
  private readonly settings: Readonly<Record<string, string>>
  private readonly profiles: Profiles | undefined

  private constructor(server: PostgresServer, program: Program, database: string, settings: Readonly<Record<string, string>>, profiles: Profiles | undefined) {
    this.server = server
    this.program = program
    this.database = database
    this.settings = settings
    this.profiles = profiles
    this.session = openSession(server, database)
  }

  static async make(bench: Bench, program: Program, options: SiteOptions): Promise<Site> {
    const server = await bench.server()
    const database = `bench_${made++}`
    server.psql(`CREATE DATABASE ${database}`)
    server.psql(`${ORDERS}\n${options.sql ?? ""}`, database)
    const url = server.url(database)
    const port = await freePort()
    const site = new Site(server, program, database, {
      PGSTREAM_POSTGRES_LISTENER_URL: url,
      PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: database,
      PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url,
      PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${port}`,
      PGSTREAM_HEALTH_CHECK_ENABLED: "false",
      ...(options.plugin === undefined ? {} : { PGSTREAM_POSTGRES_REPLICATION_PLUGIN_NAME: options.plugin }),
      ...options.settings
    }, bench.profiles)
    const init = startProgram(program.file, ["init"], site.settings)
    if (await init.ended !== 0) throw new Error(`${program.name} init: ${init.log()}`)
    await site.subscribe(`http://127.0.0.1:${port}`, options.subscribers)
    return site
  }

  /** What is measured: with a profile, where one is wanted. */
  start(args: ReadonlyArray<string> = ["run"]): Started {
    return startProgram(this.program.file, args, this.settings, this.profiles?.flags())
  }

  /** What prepares. */
  startAside(): Started {
    return startProgram(this.program.file, ["run"], this.settings)
  }

  get environment(): Readonly<Record<string, string>> {
    return this.settings
  }

  async fill(rows: number, perTransaction = 100): Promise<void> {
    await this.session.ask(`CALL fill(${rows}, ${perTransaction})`)
  }

  /** Writes at a rate; ends when all is committed. Returns how many rows. */
  async offer(commitsPerSecond: number, perCommit: number, seconds: number): Promise<number> {
    const load = openSession(this.server, this.database)
    await load.ask(`CALL offer(${commitsPerSecond}, ${perCommit}, ${seconds})`)
    load.end()
    return Math.ceil(commitsPerSecond * seconds) * perCommit
  }

  /** Ends everything that uses the database, and drops it with its slots. */
  async drop(): Promise<void> {
    this.session.end()
    const slots = `pg_replication_slots WHERE database = '${this.database}'`
    this.server.psql(`SELECT pg_terminate_backend(active_pid) FROM ${slots} AND active_pid IS NOT NULL`)
    for (let left = 100; this.server.psql(`SELECT count(*) FROM ${slots} AND active_pid IS NOT NULL`).trim() !== "0" && left > 0; left--) await wait(50)
    this.server.psql(`SELECT pg_drop_replication_slot(slot_name) FROM ${slots}`)
    this.server.psql(`DROP DATABASE ${this.database} WITH (FORCE)`)
  }

  private async subscribe(api: string, subscribers: ReadonlyArray<Subscriber>): Promise<void> {
    if (subscribers.length === 0) return
    const running = this.startAside()
    const deadline = Date.now() + API_LIMIT_MS
    const call = async (method: string, path: string, payload: object): Promise<Record<string, unknown>> => {
      for (;;) {
        if (running.child.exitCode !== null) throw new Error(`${this.program.name} ended with ${running.child.exitCode}: ${running.log()}`)
        const answer = await fetch(`${api}${path}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(payload) }).catch(() => undefined)
        if (answer?.ok) return JSON.parse(await answer.text() || "{}") as Record<string, unknown>
        if (answer !== undefined && answer.status < 500) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
        if (Date.now() > deadline) throw new Error(`the API of ${this.program.name} did not answer within ${API_LIMIT_MS} ms: ${running.log()}`)
        await wait(50)
      }
    }
    for (const { patch, secret, table = "orders", url } of subscribers) {
      const answer = await call("POST", "/webhooks/subscribe", { url, schema: "public", table, event_types: ["I", "U"] })
      const endpoint = String(answer["endpoint_id"])
      if (patch !== undefined) await call("PATCH", `/webhooks/endpoints/${endpoint}`, patch)
      if (secret !== undefined) await call("POST", `/webhooks/endpoints/${endpoint}/rotate-secret`, { secret })
    }
    await stopProgram(running)
  }
}

export interface Drained {
  readonly events: number
  readonly eventsPerSecond: number
  readonly requestsPerSecond: number
  /** CPU of the client from its first request on, µs an event and µs a request. */
  readonly cpuUs: number
  readonly cpuUsARequest: number
  readonly peakMib: number
  readonly bodyBytes: number
  /** What should be 0: numbers that came twice, and that did not come. */
  readonly twice: number
  readonly missing: number
}

/** Until the receiver has so many events more; the clock runs at the receiver, from its first request to its last. */
export const drained = async (bench: Bench, receiver: Receiver, events: number, running: Started): Promise<Drained> => {
  let [before, since, first, cpu, peak] = [0, Date.now(), undefined as number | undefined, 0, 0]
  for (;;) {
    const counted = await receiver.counted()
    if (running.child.exitCode === null) [cpu, peak] = usage(running.pid, cpu, peak)
    if (first === undefined && counted.events > 0) first = cpu
    if (counted.events >= events) {
      const { bytes, firstMs, lastMs, missing, requests, twice } = counted
      const seconds = (lastMs - firstMs) / 1_000
      const used = (cpu - (first ?? 0)) * 1e6
      return {
        events: counted.events, eventsPerSecond: (counted.events - 1) / seconds, requestsPerSecond: (requests - 1) / seconds, cpuUs: used / counted.events, cpuUsARequest: used / requests,
        peakMib: peak, bodyBytes: bytes / requests, twice, missing
      }
    }
    if ((running.child.exitCode ?? 0) !== 0) throw new Error(`ended with ${running.child.exitCode}: ${running.log()}`)
    if (counted.events > before) [before, since] = [counted.events, Date.now()]
    if (Date.now() - since > STALL_LIMIT_MS) throw new Error(`${counted.events} of ${events}, and nothing more for ${STALL_LIMIT_MS} ms: ${running.log()}`)
    bench.say(`${counted.events.toLocaleString("en")} of ${events.toLocaleString("en")}`)
    await wait(20)
  }
}

/** A process that ends between two looks keeps what was seen last. */
export const usage = (pid: number, cpu: number, peak: number): [number, number] => {
  try {
    return [cpuSeconds(pid), peakMib(pid) || peak]
  } catch {
    return [cpu, peak]
  }
}

/** Fills the slot, runs the program until the receiver has all, stops it. */
export const backlog = async (
  bench: Bench, site: Site, receiver: Receiver, rows: number,
  options: { readonly perTransaction?: number; readonly events?: number } = {}
): Promise<Metrics> => {
  await site.fill(rows, options.perTransaction)
  await receiver.reset()
  const running = site.start()
  try {
    return { ...await drained(bench, receiver, options.events ?? rows, running) }
  } finally {
    await stopProgram(running)
  }
}

/** Until the slot has acknowledged what is written now. `at`: the share of it so far, and whether the slot is read. */
export const acknowledged = async (site: Site, running: Started, at: (share: number, read: boolean) => void = () => {}): Promise<void> => {
  const end = await site.session.ask("SELECT pg_current_wal_insert_lsn()")
  let [best, since] = [-1, Date.now()]
  let whole: number | undefined
  for (;;) {
    const [text, active] = (await site.session.ask(`SELECT '${end}'::pg_lsn - confirmed_flush_lsn, active FROM pg_replication_slots WHERE slot_name = '${site.database}'`)).split("|")
    const left = Number(text)
    whole ??= Math.max(1, left)
    if (left <= 0) return
    at(1 - left / whole, active === "t")
    if (best < 0 || left < best) [best, since] = [left, Date.now()]
    if (running.child.exitCode !== null || Date.now() - since > STALL_LIMIT_MS) throw new Error(`the slot does not get on, ${left} bytes are left: ${running.log()}`)
    await wait(50)
  }
}

/** Runs the program until it has acknowledged all that is written, and stops it. */
export const passed = async (site: Site): Promise<void> => {
  const running = site.startAside()
  try {
    await acknowledged(site, running)
  } finally {
    await stopProgram(running)
  }
}
