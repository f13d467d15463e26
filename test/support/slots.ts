/** A slot with its table and publication in a test's database, and its frames read just far enough for tests. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Frame } from "../../src/domain/Frame.ts"
import * as Lsn from "../../src/domain/Lsn.ts"
import type { ChangeSource, Plugin } from "../../src/services/ChangeSource.ts"
import { SourceSettings, type SourceSettingsShape } from "../../src/services/Settings.ts"
import type { Said, SourceHarness } from "../suites/ChangeSourceSuite.ts"
import type { TestDatabase } from "./database.ts"

export const settings = (url: string, slotName: string, more: Partial<SourceSettingsShape> = {}): SourceSettingsShape => ({
  url: Redacted.make(url), slotName, driver: "socket", maxFrameBytes: 64 * 1024 * 1024, readAheadBytes: 8 * 1024 * 1024,
  backoffInitialMs: 20, backoffMaxMs: 200, silenceMs: 30_000, ...more
})

export const withSettings = <E>(layer: Layer.Layer<ChangeSource, E, SourceSettings>, shape: SourceSettingsShape) =>
  layer.pipe(Layer.provide(Layer.succeed(SourceSettings, shape)))

/** Table `t (n int primary key, body text)`, publication `pgstream` and the slot. */
export const makeSlot = (database: Pick<TestDatabase, "psql">, slotName: string, plugin: Plugin): void => {
  database.psql(`
    CREATE TABLE IF NOT EXISTS t (n int PRIMARY KEY, body text);
    DO $$ BEGIN CREATE PUBLICATION pgstream FOR ALL TABLES; EXCEPTION WHEN duplicate_object THEN NULL; END $$;`)
  database.psql(`SELECT pg_create_logical_replication_slot('${slotName}', '${plugin}')`)
}

const readPgoutput = ({ bytes, start }: Frame): Said => {
  if (bytes[start] === 0x43) return { commit: Lsn.read(bytes, start + 10) }
  if (bytes[start] !== 0x49) return undefined
  const length = bytes.readUInt32BE(start + 9)
  return { inserted: Number(bytes.toString("latin1", start + 13, start + 13 + length)) }
}

const readWal2json = (frame: Frame): Said => {
  const record = JSON.parse(frame.bytes.toString("utf8", frame.start, frame.end)) as { readonly action: string; readonly columns?: ReadonlyArray<{ readonly value: number }> }
  if (record.action === "C") return { commit: frame.lsn }
  return record.action === "I" ? { inserted: record.columns![0]!.value } : undefined
}

export const readFrame = (plugin: Plugin) => (plugin === "pgoutput" ? readPgoutput : readWal2json)

export const confirmedOf = (database: Pick<TestDatabase, "psql">, slotName: string): Lsn.Lsn =>
  Result.getOrThrow(Lsn.parse(database.psql(`SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${slotName}'`).trim()))

export const harness = (database: TestDatabase, slotName: string, plugin: Plugin): SourceHarness<never> => ({
  write: (numbers) => Effect.sync(() => void database.psql(`INSERT INTO t SELECT unnest('{${numbers.join(",")}}'::int[])`)),
  read: readFrame(plugin),
  confirmed: Effect.sync(() => confirmedOf(database, slotName))
})
