/** What is copied, from the keys of copies and the mode of the source. */
import * as Result from "effect/Result"
import * as TablePattern from "../../domain/TablePattern.ts"
import { snapshotDefaults, type SnapshotSettingsShape } from "../../services/SnapshotSettings.ts"
import type { Collected } from "./Collect.ts"
import { block } from "./KeysSnapshot.ts"
import type { Reader } from "./Reader.ts"

type Mode = SnapshotSettingsShape["mode"]

const modes = ["replication", "snapshot", "snapshot_and_replication"] as const

/** `forced`: the command is a copy, whatever the file is for. */
export const readMode = (reader: Reader, forced: Mode | undefined): Mode => {
  const written = reader.choice("source.mode", modes)
  const from = reader.originOf("snapshot.tables")
  if (forced !== undefined) return forced
  if (from === "flag") return written === "snapshot" ? "snapshot" : "snapshot_and_replication"
  if (written !== undefined) {
    if (written === "replication" && from === "environment") {
      reader.problem("snapshot.tables", "asks for a copy, and the file says `mode: replication`; write `mode: snapshot_and_replication`, or take the variable away")
    }
    return written
  }
  const copyOnly = reader.has("snapshot.url") && !reader.has("source.url")
  if (from === undefined) return copyOnly ? "snapshot" : "replication"
  if (from === "file" && !reader.isVariable("snapshot.tables")) {
    reader.problem("snapshot.tables", "needs source.postgres.mode: `snapshot_and_replication`, or `snapshot` for a copy alone")
  }
  return copyOnly ? "snapshot" : "snapshot_and_replication"
}

/** By the id of a key. */
export const isOfSnapshot = (id: string): boolean => /^(?:snapshot\.|source\.postgres\.snapshot\.|PGSTREAM_POSTGRES_SNAPSHOT_)/.test(id)

/** One line for all keys of copies when nothing is copied. They are not looked at further. */
const passOver = (reader: Reader, collected: Collected): void => {
  const unused = [...collected.found].filter(([id, { origin }]) => isOfSnapshot(id) && !(id === "snapshot.tables" && origin === "environment"))
  const [first] = unused
  if (first === undefined) return
  const which = unused.length === 1 ? "is" : `and ${unused.length - 1} more of copies are`
  reader.warning(first[0], `${which} not used in mode \`replication\`; a copy is made in mode \`snapshot_and_replication\``)
}

const readPatterns = (reader: Reader, id: string): ReadonlyArray<TablePattern.TablePattern> => {
  const out: Array<TablePattern.TablePattern> = []
  for (const text of reader.list(id) ?? []) {
    const pattern = TablePattern.parse(text)
    if (Result.isSuccess(pattern)) out.push(pattern.success)
    else reader.problem(id, `${text === "" ? "an entry" : text} ${pattern.failure}`)
  }
  return out
}

/** Of a chunk: it is in memory as a whole, once for each that is read at the same time. */
const MAX_CHUNK_BYTES = 8 * 1024 * 1024

const readChunkBytes = (reader: Reader): number => {
  const bytes = reader.bytes("snapshot.batchBytes", snapshotDefaults.chunkBytes)
  if (bytes > MAX_CHUNK_BYTES) reader.warning("snapshot.batchBytes", "is above 8MiB, which is the most: 8MiB holds")
  return Math.min(bytes, MAX_CHUNK_BYTES)
}

export const readSnapshot = (reader: Reader, collected: Collected, mode: Mode, forced: boolean): SnapshotSettingsShape => {
  if (mode === "replication") {
    passOver(reader, collected)
    return { ...snapshotDefaults, mode }
  }
  const content = reader.choice("snapshot.content", ["full", "schema", "data"] as const) ?? "full"
  const tables = readPatterns(reader, "snapshot.tables")
  const schemaOnly = readPatterns(reader, "snapshot.schemaOnly")
  // `pgstream snapshot` asks for its tables itself.
  if (!reader.has("snapshot.tables") && schemaOnly.length === 0 && !forced) {
    reader.missing(`${block}.tables`, "is needed in this mode: the tables to copy, such as [\"*\"]")
  } else if (reader.has("snapshot.tables") && tables.length === 0 && reader.list("snapshot.tables")?.length === 0) {
    reader.warning("snapshot.tables", "is empty: nothing is copied")
  }
  if (content === "data" && reader.has("snapshot.schemaOnly")) {
    reader.problem("snapshot.schemaOnly", "has no meaning in mode `data`, which sends no entry of the schema log; use mode `full`")
  }
  const schemaMode = reader.choice("snapshot.schemaMode", ["pgdump_pgrestore", "schemalog"] as const)
  if (schemaMode === "pgdump_pgrestore") {
    reader.warning("snapshot.schemaMode", "`pgdump_pgrestore` needs a Postgres target; webhooks get the entries of the schema log, as with `schemalog`")
  }
  return {
    mode, content, tables, schemaOnly,
    excluded: readPatterns(reader, "snapshot.excluded"),
    repeatable: reader.boolean("snapshot.repeatable", forced),
    tablesAtOnce: Math.min(1_000, reader.count("snapshot.workers", 1) * reader.count("snapshot.schemaWorkers", snapshotDefaults.tablesAtOnce)),
    chunksAtOnce: reader.count("snapshot.tableWorkers", snapshotDefaults.chunksAtOnce),
    maxConnections: reader.count("snapshot.maxConnections", snapshotDefaults.maxConnections),
    chunkBytes: readChunkBytes(reader),
    progress: !reader.boolean("snapshot.noProgress", false)
  }
}
