/** The text of docs/compatibility.md: the rules of the conformance run, and what no payload shows. */
import type { Rule } from "../conformance/Rule.ts"
import { rules } from "../conformance/rules.ts"

/** Differences that the conformance run cannot see: it compares `Data`, after JSON.parse, in a form without digits and headers. */
const unseen: ReadonlyArray<string> = [
  "Numbers keep all digits (`9223372036854775807`, `1.10` as `1.10`); the system before rounded to float64. A receiver that parses JSON " +
  "numbers as float64 sees what it saw.",
  "Requests have `Content-Type: application/json`, `webhook-id`, `webhook-timestamp`, `webhook-endpoint`, `webhook-sequence` and " +
  "`webhook-epoch` ([webhooks.md](webhooks.md)).",
  "Any 2xx is success (before: 200 only). A redirect is a failure (before: followed, a POST became a GET).",
  "What fails is tried again, then parked in Postgres, and comes later. Before, it was dropped.",
  "An event is sent once to a URL, however many of its subscriptions select it. Before, once for each row.",
  "Events of different keys may be in flight together (`order: key`), so a child row may come before its parent. Endpoints taken over keep " +
  "`total`, the order of before.",
  "A logical message goes only to subscriptions that name `M` in `event_types`. Before, to every one without event types.",
  "`event_types` `[]` and absent both mean all. Before, `[]` meant nothing without the cache, and everything with it.",
  "Tables and columns of a `schema_log` entry have an order (by name, by attnum); `primary_key_columns` and `id_col_pgstream_id` are in the " +
  "key's order. Before, any.",
  "`schema_log` and `table_ids` are written from the stream, soon after the statement's commit, not by the statement. Two DDL at once in one " +
  "schema both succeed.",
  "The metadata of an event is the schema at its place in the stream, without a schema change first, also after a restart.",
  "The subscription API listens on 127.0.0.1 only. Another address needs a token ([configuration.md](configuration.md)).",
  "`timestamp` and the text of dates, intervals, money and bytea do not follow the settings of the database or the role any more: UTC, ISO.",
  "Rows of a snapshot have the types and text forms, `lsn` and `timestamp` of the stream, and the header `webhook-snapshot: true`; no row is lost, " +
  "and none is older than what came before it ([snapshot.md](snapshot.md)). Before: forms of their own, lsn `0/0`, rows lost and repeated.",
  "Snapshots: `a*` and quoted names are patterns, exclusions take patterns, a table that is not there is an error that names the nearest. " +
  "Requests are recorded in the source database, and an interrupted one goes on. `pgstream snapshot` follows the slot where nobody else does.",
  "In a schema of more than 100 tables a transaction makes one entry, at its end; its row events before that carry the entry before."
]

interface Line {
  readonly original: string
  readonly now: string
  readonly why: string
}

/** Each line of the original tutorial that does not hold any more, in its order. */
const lines: ReadonlyArray<Line> = [
  { original: "any available PostgreSQL server, as long as it has `wal2json` installed", now: "any, from 13 on, with `wal_level = logical`", why: "pgoutput is part of every server; wal2json may not even be loaded since the releases of August 2026 unless the server allows it" },
  { original: "`docker-compose -f build/docker/docker-compose.yml --profile pg2webhook up`", now: "`docker compose -f …`", why: "version 1 of Compose is gone; path and profile are the same" },
  { original: "YAML \"with initial snapshot\": `mode: replication`", now: "`mode: snapshot_and_replication`", why: "as written it starts, copies nothing, and says so; before, it copied nothing in silence" },
  { original: "`schema.mode: pgdump_pgrestore`", now: "`schemalog`", why: "nothing is restored into a webhook; the other is taken for it, with a warning (before, with a mode that copies: an error)" },
  { original: "the cache's `refresh_interval` is the staleness of a subscription", now: "a subscription acts at its place in the stream", why: "with the store in the source its row is read from the WAL; the interval counts for a store elsewhere" },
  { original: "`./pgstream status`", now: "`pgstream status`, or `npx pgstream status` in a clone", why: "a package, not a binary in the folder" },
  { original: "`Migration current version: 7`", now: "`Migration current version: 5`", why: "our own migrations" },
  { original: "`Replication slot plugin: wal2json`", now: "`Replication slot plugin: pgoutput`", why: "new slots use pgoutput; `init --plugin wal2json` makes the other, a slot that is there keeps its own" },
  { original: "`cd tools/webhook`, `go build`, `./webhook`", now: "`npm run webhook`", why: "TypeScript" },
  { original: "`2025-03-13T10:31:44.18911+01:00 INF logger.go:37 > listening on :9910...`", now: "`listening on :9910...`", why: "the same words without the logger's prefix" },
  { original: "supported events I, U, D, T; if none are provided, all will be included", now: "also M; none named means all but M", why: "messages of other programs would reach subscriptions that never asked" },
  { original: "`SELECT * FROM pgstream.webhook_subscriptions` shows four columns", now: "`SELECT url, schema_name, table_name, event_types`", why: "the table has `id`, `endpoint_id` and more" },
  { original: "creating a table generates an insert event on `schema_log`", now: "one on `table_ids` before it, too", why: "so did the system before without the injector; the text leaves it out" },
  { original: "`UPDATE test SET name='alice' WHERE name='a'`, first time", now: "`UPDATE test SET name='a' WHERE name='alice'`", why: "there is no row with name `a` yet: the original statement changes nothing" },
  { original: "the schema log wasn't acked: `ALTER TABLE test RENAME TO tutorial_test` first", now: "restart with the injector on; no change of the schema is needed", why: "each event gets the schema at its place in the stream" },
  { original: "reinitialise `pgstream` or manually create the replication slot", now: "`pgstream init`", why: "a slot made by hand has no publication behind it" },
  { original: "`GRANT ALL PRIVILEGES ON DATABASE postgres TO postgres`", now: "the error names what is missing and the statement", why: "rights on the database give neither replication nor event triggers" },
  { original: "a lower `…_CACHE_REFRESH_INTERVAL` against a stale cache", now: "only for a store in another database", why: "see above" }
]

const applies = ({ injector, plugin }: Rule): string =>
  [plugin ?? "", injector === undefined ? "" : `injector ${injector}`].filter((part) => part !== "").join(", ") || "always"

const cell = (text: string): string => text.replaceAll("|", "\\|")

export const text = `# Compatibility

What is not as the program that pgstream replaces (version 0.8.1) has it. Made by \`npm run compatibility\` from the rules that the
conformance run reads (\`conformance/rules.ts\`): any other difference in a payload is a fault. [migrating.md](migrating.md) is the way over.

## In payloads
| rule | when | what and why |
|---|---|---|
${rules.map((rule) => `| ${rule.id} | ${applies(rule)} | ${cell(rule.reason)} |`).join("\n")}

## Elsewhere
${unseen.map((line) => `- ${line}`).join("\n")}

## Lines of the original tutorial that changed
| original | now | why |
|---|---|---|
${lines.map(({ now, original, why }) => `| ${cell(original)} | ${cell(now)} | ${cell(why)} |`).join("\n")}

[tutorial.md](tutorial.md) is the tutorial as it is now; \`test/integration/tutorial.pg.test.ts\` runs each command of it.
`
