/** Keys of copies of existing rows. */
import type { Key } from "./Key.ts"

const env = (name: string) => `PGSTREAM_POSTGRES_SNAPSHOT_${name}`
export const block = "source.postgres.snapshot"

const pattern = "`orders`, `sales.*`, `*.*`, `a*`, `\"My Table\"`; without a schema `public`; blanks between (in YAML a list)"

export const snapshot: ReadonlyArray<Key> = [
  { id: "snapshot.tables", env: env("TABLES"), yaml: `${block}.tables`, kind: "list", state: "works", standard: "", meaning: `Tables to copy: ${pattern}. See [snapshot.md](snapshot.md). In the environment and in \`.env\` files it switches the copy on.` },
  { id: "snapshot.excluded", env: env("EXCLUDED_TABLES"), yaml: `${block}.excluded_tables`, kind: "list", state: "works", standard: "", meaning: "Tables that are not copied; patterns as above." },
  { id: "snapshot.schemaOnly", env: env("SCHEMA_ONLY_TABLES"), yaml: `${block}.schema_only_tables`, kind: "list", state: "works", standard: "", meaning: "Tables of which the entry of the schema log is sent, and no row." },
  { id: "snapshot.content", env: env("MODE"), yaml: `${block}.mode`, kind: "choice", choices: ["full", "schema", "data"], state: "works", standard: "full", meaning: "`full`: the newest entry of the schema log of each schema, then the rows. `schema`: the entries. `data`: the rows." },
  { id: "snapshot.url", env: env("LISTENER_URL"), yaml: undefined, kind: "url", state: "works", standard: "", meaning: "Source database of a copy without a stream: `run` then ends when the copy is done. In YAML: `mode: snapshot` and `source.postgres.url`." },
  { id: "snapshot.repeatable", env: env("STORE_REPEATABLE"), yaml: `${block}.recorder.repeatable_snapshots`, kind: "boolean", state: "works", standard: "false", meaning: "Copy again what was copied to its end before. `pgstream snapshot` does unless this says `false`. A copy that was interrupted goes on in any case." },
  { id: "snapshot.storeUrl", env: env("STORE_URL"), yaml: `${block}.recorder.postgres_url`, kind: "url", state: "works", standard: "", meaning: "Where requests are recorded (`pgstream.snapshot_requests`): that is the source database; a line says so where this names another." },
  { id: "snapshot.workers", env: env("WORKERS"), yaml: `${block}.snapshot_workers`, kind: "count", range: [1, 1_000], state: "works", standard: "1", meaning: "Schemas at the same time; times the key below, that is how many tables are read at the same time." },
  { id: "snapshot.schemaWorkers", env: env("SCHEMA_WORKERS"), yaml: `${block}.data.schema_workers`, kind: "count", range: [1, 1_000], state: "works", standard: "4", meaning: "Tables of a schema at the same time." },
  { id: "snapshot.tableWorkers", env: env("TABLE_WORKERS"), yaml: `${block}.data.table_workers`, kind: "count", range: [1, 1_000], state: "works", standard: "4", meaning: "Chunks of a table at the same time." },
  { id: "snapshot.batchBytes", env: env("BATCH_BYTES"), yaml: `${block}.data.batch_bytes`, kind: "bytes", state: "works", standard: "512KiB", meaning: "Bytes of a chunk at most, and at most 8MiB, so that memory stays flat; a chunk is smaller where reading it would take longer than seconds." },
  { id: "snapshot.maxConnections", env: env("MAX_CONNECTIONS"), yaml: `${block}.max_connections`, kind: "count", range: [1, 1_000], state: "works", standard: "4", meaning: "Connections to the source for copies, whatever the workers." },
  { id: "snapshot.noProgress", env: env("DISABLE_PROGRESS_TRACKING"), yaml: `${block}.disable_progress_tracking`, kind: "boolean", state: "works", standard: "false", meaning: "No bars and no lines about progress; `status` has the numbers in any case." },
  { id: "snapshot.schemaMode", env: undefined, yaml: `${block}.schema.mode`, kind: "choice", choices: ["pgdump_pgrestore", "schemalog"], state: "works", standard: "schemalog", meaning: "`pgdump_pgrestore` restores into a Postgres target; webhooks get the entries of the schema log, with a warning." }
]

const restoring = "It is for a dump that is restored into Postgres; webhooks are the only target, and get the entries of the schema log."

/** Known, and without a meaning where webhooks are the target. */
export const restoreOnly: ReadonlyArray<Key> = [
  { id: `${block}.schema.pgdump_pgrestore`, env: undefined, yaml: `${block}.schema.pgdump_pgrestore`, kind: "any", state: "later", standard: "", meaning: restoring, subtree: true },
  ...[
    "USE_SCHEMALOG", "INCLUDE_GLOBAL_DB_OBJECTS", "ROLE", "ROLES_SNAPSHOT_MODE", "CLEAN_TARGET_DB", "CREATE_TARGET_DB",
    "SCHEMA_DUMP_FILE", "INCLUDE_OBJECT_TYPES", "EXCLUDE_OBJECT_TYPES", "NO_OWNER", "NO_PRIVILEGES",
    "EXCLUDED_SECURITY_LABELS", "REFRESH_MATERIALIZED_VIEWS", "INDEX_CONSTRAINT_SESSION_SETTINGS"
  ].map((name): Key => ({
    id: env(name), env: env(name), yaml: undefined, kind: "any", state: "later", standard: "",
    meaning: name === "USE_SCHEMALOG" ? "Webhooks get the entries of the schema log in any case." : restoring
  }))
]
