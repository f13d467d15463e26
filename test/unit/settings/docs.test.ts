import { readFileSync } from "node:fs"
import { assert, it } from "vitest"
import { keys } from "../../../src/layers/settings/Keys.ts"
import { text } from "../../../scripts/configurationText.ts"

it("docs/configuration.md is what the table of keys gives (node scripts/configuration-docs.ts)", () => {
  assert.strictEqual(readFileSync("docs/configuration.md", "utf8"), text)
})

it("no two keys have one name, and each duration that YAML knows has a unit", () => {
  for (const names of [keys.map((key) => key.env), keys.map((key) => key.yaml)]) {
    const known = names.filter((name) => name !== undefined)
    assert.strictEqual(new Set(known).size, known.length)
  }
  assert.deepStrictEqual(keys.filter((key) => key.kind.startsWith("duration") && key.yaml !== undefined && key.yamlUnit === undefined), [])
})

it("every key of the system that we replace is known (golden/CONFIG.md, parts A and B)", () => {
  // Names as CONFIG.md has them; a prefix with {A,B} is written out.
  const prefix = (start: string, ends: string) => ends.split(" ").map((end) => start + end)
  const golden = [
    ...prefix("PGSTREAM_POSTGRES_", "LISTENER_URL REPLICATION_SLOT_NAME"),
    ...prefix("PGSTREAM_POSTGRES_SNAPSHOT_", "LISTENER_URL TABLES EXCLUDED_TABLES STORE_URL STORE_REPEATABLE WORKERS SCHEMA_WORKERS TABLE_WORKERS BATCH_BYTES USE_SCHEMALOG INCLUDE_GLOBAL_DB_OBJECTS ROLE ROLES_SNAPSHOT_MODE CLEAN_TARGET_DB CREATE_TARGET_DB SCHEMA_DUMP_FILE MODE SCHEMA_ONLY_TABLES MAX_CONNECTIONS DISABLE_PROGRESS_TRACKING INCLUDE_OBJECT_TYPES EXCLUDE_OBJECT_TYPES NO_OWNER NO_PRIVILEGES EXCLUDED_SECURITY_LABELS REFRESH_MATERIALIZED_VIEWS INDEX_CONSTRAINT_SESSION_SETTINGS"),
    ...prefix("PGSTREAM_WEBHOOK_", "SUBSCRIPTION_STORE_URL SUBSCRIPTION_STORE_CACHE_ENABLED SUBSCRIPTION_STORE_CACHE_REFRESH_INTERVAL NOTIFIER_MAX_QUEUE_BYTES NOTIFIER_WORKER_COUNT NOTIFIER_CLIENT_TIMEOUT SUBSCRIPTION_SERVER_ADDRESS SUBSCRIPTION_SERVER_READ_TIMEOUT SUBSCRIPTION_SERVER_WRITE_TIMEOUT NOTIFIER_STRICT_MODE"),
    ...["PGSTREAM_POSTGRES_LISTENER_", "PGSTREAM_WEBHOOK_NOTIFIER_"].flatMap((start) => prefix(start, "EXP_BACKOFF_INITIAL_INTERVAL EXP_BACKOFF_MAX_INTERVAL EXP_BACKOFF_MAX_ELAPSED_TIME EXP_BACKOFF_MAX_RETRIES BACKOFF_INTERVAL BACKOFF_MAX_RETRIES DISABLE_RETRIES")),
    ...prefix("PGSTREAM_POSTGRES_REPLICATION_PLUGIN_", "INCLUDE_XIDS ADD_TABLES FILTER_TABLES"),
    ...prefix("PGSTREAM_", "INJECTOR_STORE_POSTGRES_URL FILTER_INCLUDE_TABLES FILTER_EXCLUDE_TABLES FILTER_SCHEMA_ONLY_TABLES TRANSFORMER_RULES_FILE METRICS_ENDPOINT METRICS_COLLECTION_INTERVAL TRACES_ENDPOINT TRACES_SAMPLE_RATIO PROCESSOR_SANITIZE_STRIP_NULL_CHAR_BYTES HEALTH_CHECK_ENABLED HEALTH_CHECK_ADDRESS METRICS_PROMETHEUS_ENABLED METRICS_PROMETHEUS_ENDPOINT STDOUT_WRITER_ENABLED LOG_LEVEL")
  ]
  const known = new Set(keys.map((key) => key.env))
  assert.deepStrictEqual(golden.filter((name) => !known.has(name)), [])
})
