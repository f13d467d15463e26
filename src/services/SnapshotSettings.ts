/** What is copied besides the stream, and how much of the source's time a copy may take. Read by `layers/settings`. */
import * as Context from "effect/Context"
import type { TablePattern } from "../domain/TablePattern.ts"
import { copyDefaults } from "./CopySettings.ts"

export interface SnapshotSettingsShape {
  /** The stream alone, a copy alone (it ends when the copy is done), or a copy and the stream. */
  readonly mode: "replication" | "snapshot" | "snapshot_and_replication"
  /** `full`: of each schema the newest entry of the schema log, then rows · `data`: rows · `schema`: entries. */
  readonly content: "full" | "data" | "schema"
  readonly tables: ReadonlyArray<TablePattern>
  readonly excluded: ReadonlyArray<TablePattern>
  /** Of these the schema's entry is sent and no row. */
  readonly schemaOnly: ReadonlyArray<TablePattern>
  /** Copy again what was copied to its end before. */
  readonly repeatable: boolean
  /** Tables that are read at the same time. Default 4. */
  readonly tablesAtOnce: number
  /** Chunks of one table that are read at the same time. Default 4. */
  readonly chunksAtOnce: number
  /** Connections to the source for copies, at most. Default 4. */
  readonly maxConnections: number
  /** Bytes of one chunk, at most; it is smaller where reading takes longer than seconds. Default 512 KiB. */
  readonly chunkBytes: number
  /** Bars and lines about progress. */
  readonly progress: boolean
}

export const snapshotDefaults: SnapshotSettingsShape = {
  mode: "replication",
  content: "full",
  tables: [],
  excluded: [],
  schemaOnly: [],
  repeatable: false,
  tablesAtOnce: copyDefaults.tables,
  chunksAtOnce: copyDefaults.ranges,
  maxConnections: copyDefaults.connections,
  chunkBytes: copyDefaults.rangeBytes,
  progress: true
}

/** Without a Layer for it nothing is copied but what is asked for at the API. */
export const SnapshotSettings = Context.Reference<SnapshotSettingsShape>("pgstream/services/SnapshotSettings", {
  defaultValue: () => snapshotDefaults
})
