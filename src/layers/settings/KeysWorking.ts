/** Keys that work. Order = order of `docs/configuration.md`. */
import type { Key } from "./Key.ts"
import { guard } from "./KeysGuard.ts"
import { log } from "./KeysLog.ts"
import { snapshot } from "./KeysSnapshot.ts"

const source: ReadonlyArray<Key> = [
  { id: "source.url", env: "PGSTREAM_POSTGRES_LISTENER_URL", yaml: "source.postgres.url", kind: "url", state: "works", standard: "", meaning: "Source database, for replication and for queries. What the URL lacks comes from the PG* variables; no database name means `postgres`." },
  { id: "source.mode", env: undefined, yaml: "source.postgres.mode", kind: "choice", choices: ["replication", "snapshot", "snapshot_and_replication"], state: "works", standard: "replication", meaning: "`snapshot`: `run` copies the tables and ends. `snapshot_and_replication`: a copy while the stream runs. In the environment and in `.env` files `PGSTREAM_POSTGRES_SNAPSHOT_TABLES` alone means `snapshot_and_replication`." },
  { id: "source.slot", env: "PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME", yaml: "source.postgres.replication.replication_slot", kind: "slot", state: "works", standard: "pgstream_<database>_slot", meaning: "Replication slot, 1 to 63 of `a-z 0-9 _`. In the default name, `.` and `-` of the database become `_`, letters become lower case." },
  { id: "source.plugin", env: "PGSTREAM_POSTGRES_REPLICATION_PLUGIN_NAME", yaml: "source.postgres.replication.plugin.name", kind: "choice", choices: ["pgoutput", "wal2json"], state: "works", standard: "pgoutput", meaning: "Output plugin of a slot that `init` makes. A slot that is there keeps its plugin." },
  { id: "source.driver", env: "PGSTREAM_POSTGRES_REPLICATION_DRIVER", yaml: "source.postgres.replication.driver", kind: "choice", choices: ["socket", "pg-logical-replication"], state: "works", standard: "socket", meaning: "Connection that reads the slot: ours, or the package of that name." },
  { id: "source.maxFrame", env: "PGSTREAM_POSTGRES_REPLICATION_MAX_MESSAGE_BYTES", yaml: "source.postgres.replication.max_message_bytes", kind: "bytes", state: "works", standard: "64MiB", meaning: "A change above this is kept as a dead delivery with its position." },
  { id: "source.readAhead", env: "PGSTREAM_POSTGRES_REPLICATION_READ_AHEAD_BYTES", yaml: "source.postgres.replication.read_ahead_bytes", kind: "bytes", state: "works", standard: "2MiB", meaning: "Bytes read from the slot before the deliveries ask for them." },
  { id: "source.silence", env: "PGSTREAM_POSTGRES_REPLICATION_SILENCE_INTERVAL", yaml: "source.postgres.replication.silence_interval", kind: "duration", yamlUnit: "s", state: "works", standard: "30s", meaning: "After this long without a byte, the server is asked over another connection whether ours is alive." },
  { id: "source.backoffInitial", env: "PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_INITIAL_INTERVAL", yaml: "source.postgres.retry_policy.exponential.initial_interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "500ms", meaning: "First wait before the source is connected anew; doubles, with jitter." },
  { id: "source.backoffMax", env: "PGSTREAM_POSTGRES_LISTENER_EXP_BACKOFF_MAX_INTERVAL", yaml: "source.postgres.retry_policy.exponential.max_interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "30s", meaning: "Longest wait between two connections to the source." },
  { id: "source.backoffConstant", env: "PGSTREAM_POSTGRES_LISTENER_BACKOFF_INTERVAL", yaml: "source.postgres.retry_policy.constant.interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "", meaning: "The same wait each time, in place of the two above." },
  { id: "source.timezone", env: "PGSTREAM_POSTGRES_TIMEZONE", yaml: "source.postgres.timezone", kind: "text", state: "works", standard: "UTC", meaning: "Zone (IANA name, such as Europe/Madrid) that `timestamptz` values and `timestamp` are written in. The zone of the server, database or role has no say." },
  { id: "source.scan", env: "PGSTREAM_SCHEMA_SCAN_INTERVAL", yaml: "source.postgres.schema_scan_interval", kind: "duration", yamlUnit: "s", state: "works", standard: "10s", meaning: "How often the catalog is compared with the schema log." }
]

const store: ReadonlyArray<Key> = [
  { id: "store.url", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL", yaml: "target.webhooks.subscriptions.store.url", kind: "url", state: "works", standard: "", meaning: "Database of subscriptions, checkpoint and parked deliveries. Choose the source database where you can: only there is a subscription a position in the stream." },
  { id: "store.cache", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_ENABLED", yaml: "target.webhooks.subscriptions.store.cache.enabled", kind: "boolean", state: "works", standard: "false", meaning: "With the store in the source it makes no difference: definitions come with the stream. Elsewhere, `false` looks every second, `true` at the interval below." },
  { id: "store.refresh", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_REFRESH_INTERVAL", yaml: "target.webhooks.subscriptions.store.cache.refresh_interval", kind: "duration", yamlUnit: "s", state: "works", standard: "60s", meaning: "A store elsewhere, and the endpoints, are read again at least this often." },
  { id: "store.max", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_MAX", yaml: "target.webhooks.subscriptions.max", kind: "count", range: [1, 1_000_000], state: "works", standard: "10000", meaning: "Subscriptions that the API and `pgstream subscriptions add` let in; then `TooManySubscriptions`. Rows that are written with SQL are not held to it." }
]

const secrets: ReadonlyArray<Key> = [
  { id: "secrets.key", env: "PGSTREAM_SECRET_KEY", yaml: "target.webhooks.secret_key", kind: "secret", state: "works", standard: "", meaning: "32 bytes in base64 or hex (`openssl rand -base64 32`): encrypts secrets, headers, authorization and certificates of endpoints, and parked bodies, in the store. Without it an endpoint takes no bearer token, no Basic password and no client certificate. See [security.md](security.md)." },
  { id: "secrets.previous", env: "PGSTREAM_SECRET_KEY_PREVIOUS", yaml: "target.webhooks.secret_key_previous", kind: "secret", state: "works", standard: "", meaning: "Keys that were `PGSTREAM_SECRET_KEY` before, with blanks or commas between: what they encrypted can still be read." }
]

const notifier: ReadonlyArray<Key> = [
  { id: "notifier.concurrency", env: "PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY", yaml: "target.webhooks.notifier.concurrency", kind: "count", range: [1, 10_000], state: "works", standard: "64", meaning: "Requests in flight per endpoint." },
  { id: "notifier.workers", env: "PGSTREAM_WEBHOOK_NOTIFIER_WORKER_COUNT", yaml: "target.webhooks.notifier.worker_count", kind: "count", range: [1, 10_000], oldNameOf: "notifier.concurrency", state: "works", standard: "", meaning: "Old name of the key above." },
  { id: "notifier.timeout", env: "PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT", yaml: "target.webhooks.notifier.client_timeout", kind: "duration", yamlUnit: "ms", state: "works", standard: "10s", meaning: "One request, from the connection to the end of the answer." },
  { id: "notifier.maxQueue", env: "PGSTREAM_WEBHOOK_NOTIFIER_MAX_QUEUE_BYTES", yaml: "target.webhooks.notifier.max_queue_bytes", kind: "bytes", state: "works", standard: "100MiB", meaning: "Bytes of bodies held in memory for all endpoints; a larger one is let in alone." },
  { id: "notifier.maxEndpoint", env: "PGSTREAM_WEBHOOK_NOTIFIER_MAX_ENDPOINT_BYTES", yaml: "target.webhooks.notifier.max_endpoint_bytes", kind: "bytes", state: "works", standard: "8MiB", meaning: "Bytes of bodies held in memory for one endpoint." },
  { id: "notifier.retryInitial", env: "PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_INITIAL_INTERVAL", yaml: "target.webhooks.notifier.backoff.exponential.initial_interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "250ms", meaning: "First wait before a failed request is tried again; doubles, with jitter." },
  { id: "notifier.retryMax", env: "PGSTREAM_WEBHOOK_NOTIFIER_EXP_BACKOFF_MAX_INTERVAL", yaml: "target.webhooks.notifier.backoff.exponential.max_interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "2s", meaning: "Longest wait between two tries before parking." },
  { id: "notifier.retryConstant", env: "PGSTREAM_WEBHOOK_NOTIFIER_BACKOFF_INTERVAL", yaml: "target.webhooks.notifier.backoff.constant.interval", kind: "duration", yamlUnit: "ms", state: "works", standard: "", meaning: "The same wait each time, in place of the two above." },
  { id: "notifier.parkAfter", env: "PGSTREAM_WEBHOOK_NOTIFIER_PARK_AFTER", yaml: "target.webhooks.notifier.park_after", kind: "duration", yamlUnit: "ms", state: "works", standard: "5s", meaning: "What still fails this long after its first try is parked in Postgres." },
  { id: "notifier.parkedSchedule", env: "PGSTREAM_WEBHOOK_NOTIFIER_PARKED_SCHEDULE", yaml: "target.webhooks.notifier.parked_schedule", kind: "durations", yamlUnit: "s", state: "works", standard: "5s 30s 2m 10m 30m 1h 2h 4h 10h 10h 10h 10h 10h 10h", meaning: "Waits before each further try of what is parked, jittered; after the last it is dead (kept, not tried again)." },
  { id: "notifier.refusedSchedule", env: "PGSTREAM_WEBHOOK_NOTIFIER_REFUSED_SCHEDULE", yaml: "target.webhooks.notifier.refused_schedule", kind: "durations", yamlUnit: "s", state: "works", standard: "5s 1m 10m", meaning: "The same for what the receiver refuses: 3xx, and 4xx but 408, 409, 425, 429 (410 disables the endpoint)." },
  { id: "notifier.disableAfter", env: "PGSTREAM_WEBHOOK_NOTIFIER_DISABLE_AFTER", yaml: "target.webhooks.notifier.disable_after", kind: "duration", yamlUnit: "s", state: "works", standard: "120h", meaning: "An endpoint that fails for this long without one accepted delivery is disabled: its events are kept, not sent, until it is resumed. `0`: never." },
  { id: "notifier.deadRetention", env: "PGSTREAM_WEBHOOK_NOTIFIER_DEAD_RETENTION", yaml: "target.webhooks.notifier.dead_retention", kind: "duration", yamlUnit: "s", state: "works", standard: "720h", meaning: "How long a dead delivery is kept, with its body, to be retried or replayed. `0`: for ever." },
  { id: "notifier.breakerFailures", env: "PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_FAILURES", yaml: "target.webhooks.notifier.breaker.failures", kind: "count", range: [1, 10_000], state: "works", standard: "10", meaning: "Circuit breaker of each endpoint: after this many failures in a row (no answer, 408, 425, 429, 5xx), over at least a second, nothing is sent for a while." },
  { id: "notifier.breakerRate", env: "PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_RATE", yaml: "target.webhooks.notifier.breaker.rate", kind: "count", range: [1, 101], state: "works", standard: "70", meaning: "It opens, too, when this many percent of the last answers are failures. `101`: never." },
  { id: "notifier.breakerWindow", env: "PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_WINDOW", yaml: "target.webhooks.notifier.breaker.window", kind: "count", range: [10, 10_000], state: "works", standard: "100", meaning: "How many answers those are." },
  { id: "notifier.breakerPause", env: "PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE", yaml: "target.webhooks.notifier.breaker.pause", kind: "duration", yamlUnit: "s", state: "works", standard: "5s", meaning: "The first pause; each further one is twice as long, jittered. Then one request at a time, until one is answered." },
  { id: "notifier.breakerPauseMax", env: "PGSTREAM_WEBHOOK_NOTIFIER_BREAKER_PAUSE_MAX", yaml: "target.webhooks.notifier.breaker.pause_max", kind: "duration", yamlUnit: "s", state: "works", standard: "5m", meaning: "The longest." },
  { id: "notifier.maxParkedKeys", env: "PGSTREAM_WEBHOOK_NOTIFIER_MAX_PARKED_KEYS", yaml: "target.webhooks.notifier.max_parked_keys", kind: "count", range: [1, 10_000_000], state: "works", standard: "65536", meaning: "With more parked keys than this, or more deliveries parked since the last checkpoint, an endpoint is behind: its further events wait in segments, until there are fewer." },
  { id: "notifier.walBudget", env: "PGSTREAM_WAL_BUDGET_BYTES", yaml: "target.webhooks.notifier.wal_budget_bytes", kind: "bytes", state: "works", standard: "8GiB", meaning: "When the slot holds more WAL than this, the endpoint that holds it back goes behind. At most half of `max_slot_wal_keep_size` counts, where that is set." },
  { id: "notifier.budgetBytes", env: "PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_BYTES", yaml: "target.webhooks.notifier.budget.bytes", kind: "bytes", state: "works", standard: "10GiB", meaning: "What may wait in the store for one endpoint that is behind or paused." },
  { id: "notifier.budgetAge", env: "PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_AGE", yaml: "target.webhooks.notifier.budget.age", kind: "duration", yamlUnit: "s", state: "works", standard: "168h", meaning: "And for how long." },
  { id: "notifier.budgetAction", env: "PGSTREAM_WEBHOOK_NOTIFIER_BUDGET_ACTION", yaml: "target.webhooks.notifier.budget.action", kind: "choice", choices: ["suspend", "pause-slot", "dead-letter"], state: "works", standard: "suspend", meaning: "Over it. `suspend`: its further events are counted, not kept, until it is resumed. `pause-slot`: the stream waits, for all endpoints. `dead-letter`: its further events are recorded as dead." },
  { id: "notifier.storeBudget", env: "PGSTREAM_WEBHOOK_NOTIFIER_STORE_BUDGET_BYTES", yaml: "target.webhooks.notifier.budget.store_bytes", kind: "bytes", state: "works", standard: "", meaning: "What may wait in the store for all endpoints together; over it the stream waits. Absent: no bound." },
  { id: "notifier.grace", env: "PGSTREAM_WEBHOOK_NOTIFIER_GRACE_PERIOD", yaml: "target.webhooks.notifier.grace_period", kind: "duration", yamlUnit: "s", state: "works", standard: "10s", meaning: "Time for requests in flight to end at a graceful stop." }
]

const api: ReadonlyArray<Key> = [
  { id: "api.address", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS", yaml: "target.webhooks.subscriptions.server.address", kind: "address", state: "works", standard: "127.0.0.1:9900", meaning: "Address of the subscription API. `:9900` is every interface; any address that is not loopback needs a token or the key `allow_unauthenticated`." },
  { id: "api.token", env: "PGSTREAM_API_TOKEN", yaml: "target.webhooks.subscriptions.server.token", kind: "secret", state: "works", standard: "", meaning: "A token of the API with the scope `manage`. As soon as there is one, here or made with `pgstream tokens add`, each request needs one as `Authorization: Bearer …`." },
  { id: "api.allow", env: "PGSTREAM_API_ALLOW_UNAUTHENTICATED", yaml: "target.webhooks.subscriptions.server.allow_unauthenticated", kind: "boolean", state: "works", standard: "false", meaning: "Lets the API listen beyond loopback without a token." },
  { id: "api.hosts", env: "PGSTREAM_API_HOSTS", yaml: "target.webhooks.subscriptions.server.hosts", kind: "list", state: "works", standard: "", meaning: "Names by which the API is reached, without ports, with blanks or commas between (in YAML a list): on loopback those beside its own names, as a proxy before it passes them on in `Host`; beyond loopback, once there are some, only they, loopback and addresses." },
  { id: "api.readTimeout", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_READ_TIMEOUT", yaml: "target.webhooks.subscriptions.server.read_timeout", kind: "duration", yamlUnit: "s", state: "works", standard: "5s", meaning: "Time for a whole request to arrive." },
  { id: "api.writeTimeout", env: "PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_WRITE_TIMEOUT", yaml: "target.webhooks.subscriptions.server.write_timeout", kind: "duration", yamlUnit: "s", state: "works", standard: "10s", meaning: "Time for a response to leave." },
  { id: "health.enabled", env: "PGSTREAM_HEALTH_CHECK_ENABLED", yaml: "instrumentation.health.enabled", kind: "boolean", state: "works", standard: "true", meaning: "`/health` and `/ready` on an address of their own." },
  { id: "health.address", env: "PGSTREAM_HEALTH_CHECK_ADDRESS", yaml: "instrumentation.health.address", kind: "address", state: "works", standard: "127.0.0.1:9901", meaning: "That address. It needs no token: it tells nothing but health." }
]

const others: ReadonlyArray<Key> = [
  { id: "injector.url", env: "PGSTREAM_INJECTOR_STORE_POSTGRES_URL", yaml: "modifiers.injector.schemalog_url", kind: "url", state: "works", standard: "", meaning: "In the environment: switches the injector on. The schema log is the one of the source." },
  { id: "injector.url", env: undefined, yaml: "modifiers.injector.source_url", kind: "url", state: "works", standard: "", meaning: "Newer name of the key above." },
  { id: "injector.enabled", env: undefined, yaml: "modifiers.injector.enabled", kind: "boolean", state: "works", standard: "false", meaning: "Fills `metadata` and the column ids of each event." },
  { id: "log.level", env: "PGSTREAM_LOG_LEVEL", yaml: "logging.level", kind: "choice", choices: ["trace", "debug", "info", "warn", "error", "fatal", "panic"], state: "works", standard: "info", meaning: "Least level that is logged." },
  { id: "log.level", env: undefined, yaml: "PGSTREAM_LOG_LEVEL", kind: "choice", choices: ["trace", "debug", "info", "warn", "error", "fatal", "panic"], state: "works", standard: "", meaning: "The same, as YAML files of the system before have it." },
  { id: "log.format", env: "PGSTREAM_LOG_FORMAT", yaml: "logging.format.type", kind: "choice", choices: ["console", "json"], state: "works", standard: "console", meaning: "Form of a log line on stderr." },
  { id: "log.noColor", env: "PGSTREAM_LOG_NO_COLOR", yaml: "logging.format.no_color", kind: "boolean", state: "works", standard: "false", meaning: "No colours; also off where stderr is no terminal, and with `NO_COLOR`." }
]

export const working: ReadonlyArray<{ readonly title: string; readonly keys: ReadonlyArray<Key> }> = [
  { title: "Source", keys: source },
  { title: "Copies of existing rows", keys: snapshot },
  { title: "Store", keys: store },
  { title: "Encryption at rest", keys: secrets },
  { title: "Deliveries", keys: notifier },
  { title: "Delivery log and notices", keys: log },
  { title: "Hosts that webhooks may reach", keys: guard },
  { title: "API and health", keys: api },
  { title: "Injector and logging", keys: others }
]
