/**
 * Keys that are known and not there yet. *later* keys only tune or observe: a warning. *refused* keys would change
 * what is sent: an error, never silence.
 */
import type { Key } from "./Key.ts"
import { restoreOnly } from "./KeysSnapshot.ts"

const later = (env: string | undefined, yaml: string | undefined, meaning: string, subtree = false): Key => ({
  id: yaml ?? env ?? "", env, yaml, kind: "any", state: "later", standard: "", meaning, subtree
})
const refused = (env: string | undefined, yaml: string | undefined, meaning: string, subtree = false): Key => ({
  id: yaml ?? env ?? "", env, yaml, kind: "any", state: "refused", standard: "", meaning, subtree
})

const listener = "The source is connected again for as long as the process lives; there is no limit."
const parked = "What still fails is parked and tried again, never dropped; see PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER and …_PARKED_SCHEDULE."

const retries: ReadonlyArray<Key> = [
  later("PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_MAX_ELAPSED_TIME", "source.postgres.retry_policy.exponential.max_elapsed_time", listener),
  later("PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_MAX_RETRIES", "source.postgres.retry_policy.exponential.max_retries", listener),
  later("PGSTREAM_POSTGRES_LISTENER_BACKOFF_MAX_RETRIES", "source.postgres.retry_policy.constant.max_retries", listener),
  later("PGSTREAM_POSTGRES_LISTENER_DISABLE_RETRIES", "source.postgres.retry_policy.disable_retries", listener),
  later("PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_ELAPSED_TIME", "target.webhooks.notifier.backoff.exponential.max_elapsed_time", parked),
  later("PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_RETRIES", "target.webhooks.notifier.backoff.exponential.max_retries", parked),
  later("PGSTREAM_WEBHOOK_NOTIFIER_BACKOFF_MAX_RETRIES", "target.webhooks.notifier.backoff.constant.max_retries", parked),
  later("PGSTREAM_WEBHOOK_NOTIFIER_DISABLE_RETRIES", "target.webhooks.notifier.backoff.disable_retries", parked),
  later("PGSTREAM_WEBHOOK_NOTIFIER_STRICT_MODE", "target.webhooks.notifier.strict_mode", parked)
]

const metrics = "Metrics are not exported yet."
const traces = "Traces are not exported yet."

const observing: ReadonlyArray<Key> = [
  later("PGSTREAM_METRICS_ENDPOINT", "instrumentation.metrics.endpoint", metrics),
  later("PGSTREAM_METRICS_COLLECTION_INTERVAL", "instrumentation.metrics.collection_interval", metrics),
  later("PGSTREAM_METRICS_PROMETHEUS_ENABLED", "instrumentation.metrics.prometheus.enabled", metrics),
  later("PGSTREAM_METRICS_PROMETHEUS_ENDPOINT", "instrumentation.metrics.prometheus.endpoint", metrics),
  later("PGSTREAM_TRACES_ENDPOINT", "instrumentation.traces.endpoint", traces),
  later("PGSTREAM_TRACES_SAMPLE_RATIO", "instrumentation.traces.sample_ratio", traces),
  later("PGSTREAM_PROCESSOR_SANITIZE_STRIP_NULL_CHAR_BYTES", "modifiers.sanitize.strip_null_char_bytes", "Values are sent as they are.")
]

const plugin = "Options of the plugin are fixed per slot: event ids rest on them."

const changing: ReadonlyArray<Key> = [
  refused("PGSTREAM_POSTGRES_REPLICATION_PLUGIN_INCLUDE_XIDS", "source.postgres.replication.plugin.include_xids", plugin),
  refused("PGSTREAM_POSTGRES_REPLICATION_PLUGIN_ADD_TABLES", "source.postgres.replication.plugin.add_tables", plugin),
  refused("PGSTREAM_POSTGRES_REPLICATION_PLUGIN_FILTER_TABLES", "source.postgres.replication.plugin.filter_tables", plugin),
  refused("PGSTREAM_FILTER_INCLUDE_TABLES", "modifiers.filter.include_tables", "Filters are not there yet."),
  refused("PGSTREAM_FILTER_EXCLUDE_TABLES", "modifiers.filter.exclude_tables", "Filters are not there yet."),
  refused("PGSTREAM_FILTER_SCHEMA_ONLY_TABLES", "modifiers.filter.schema_only_tables", "Filters are not there yet."),
  refused("PGSTREAM_TRANSFORMER_RULES_FILE", "modifiers.transformations", "Transformations are not there yet.", true),
  refused("PGSTREAM_STDOUT_WRITER_ENABLED", "target.stdout", "Webhooks are the only target.", true),
  refused(undefined, "source.kafka", "Postgres is the only source.", true),
  refused(undefined, "target.kafka", "Webhooks are the only target.", true),
  refused(undefined, "target.postgres", "Webhooks are the only target.", true),
  refused(undefined, "target.search", "Webhooks are the only target.", true)
]

/** Variables of other sources and targets: refused whatever follows. */
export const refusedPrefixes: ReadonlyArray<readonly [prefix: string, meaning: string]> = [
  ["PGSTREAM_KAFKA_", "Kafka is not there: Postgres is the only source, webhooks are the only target."],
  ["PGSTREAM_POSTGRES_WRITER_", "Webhooks are the only target."],
  ["PGSTREAM_OPENSEARCH_", "Webhooks are the only target."],
  ["PGSTREAM_ELASTICSEARCH_", "Webhooks are the only target."],
  ["PGSTREAM_SEARCH_", "Webhooks are the only target."]
]

export const notYet: ReadonlyArray<{ readonly title: string; readonly keys: ReadonlyArray<Key> }> = [
  { title: "Copies into a Postgres target", keys: restoreOnly },
  { title: "Limits of retries", keys: retries },
  { title: "Metrics, traces, sanitizing", keys: observing },
  { title: "Filters, transformations, other sources and targets", keys: changing }
]
