/** A database without a program: a publication, and slots that bare readers read. */
import { execFileSync } from "node:child_process"
import { bareFile } from "./bare.ts"
import type { Bench, Metrics } from "./Scenario.ts"
import { openSession, type Session } from "./session.ts"
import { ORDERS } from "./Site.ts"

export interface BareDatabase {
  readonly name: string
  readonly url: string
  readonly session: Session
  slot(plugin: "pgoutput" | "wal2json"): Promise<string>
  /** Of a slot that begins where this one does, and ends with it. */
  reading(slot: string, use: (slot: string) => Metrics): Promise<Metrics>
  dropSlot(slot: string): Promise<void>
  drop(): void
}

let made = 0

export const bareDatabase = async (bench: Bench, sql = ""): Promise<BareDatabase> => {
  const server = await bench.server()
  const name = `bare_${made++}`
  server.psql(`CREATE DATABASE ${name}`)
  server.psql(`${ORDERS}\n${sql}\nCREATE PUBLICATION pgstream FOR ALL TABLES`, name)
  const session = openSession(server, name)
  let slots = 0
  const named = () => `${name}_${slots++}`
  const dropSlot = async (slot: string): Promise<void> => {
    await session.ask(`DO $$ BEGIN FOR i IN 1 .. 100 LOOP
      EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND active);
      PERFORM pg_sleep(0.05); END LOOP; PERFORM pg_drop_replication_slot('${slot}'); END $$`)
  }
  return {
    name, url: server.url(name), session, dropSlot,
    slot: async (plugin) => {
      const slot = named()
      await session.ask(`SELECT pg_create_logical_replication_slot('${slot}', '${plugin}')`)
      return slot
    },
    reading: async (from, use) => {
      const slot = named()
      await session.ask(`SELECT pg_copy_logical_replication_slot('${from}', '${slot}')`)
      const found = use(slot)
      await dropSlot(slot)
      return found
    },
    drop: () => {
      session.end()
      server.psql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}' AND NOT active`)
      server.psql(`DROP DATABASE ${name} WITH (FORCE)`)
    }
  }
}

/** The reader in a fresh process, to the end. */
export const readerEnvironment = (database: BareDatabase, slot: string, mode: "decode" | "body" | "post", events: number) => ({
  MODE: mode, URL: database.url, SLOT: slot, EVENTS: String(events)
})

export const readAll = (database: BareDatabase, slot: string, mode: "decode" | "body", events: number): Metrics =>
  JSON.parse(execFileSync(process.execPath, [bareFile("reader.ts")], { encoding: "utf8", env: { ...process.env, ...readerEnvironment(database, slot, mode, events) } })) as Metrics
