/** The text of docs/configuration.md. */
import type { Key } from "../src/layers/settings/Key.ts"
import { refusedPrefixes } from "../src/layers/settings/KeysLater.ts"
import { sections } from "../src/layers/settings/Keys.ts"

const code = (name: string | undefined): string => (name === undefined ? "–" : `\`${name}\``)

const unit = (key: Key): string =>
  key.kind === "duration" || key.kind === "durations" ? `duration${key.yamlUnit === undefined ? "" : `; YAML integer = ${key.yamlUnit}`}`
    : key.kind === "bytes" ? "bytes"
    : key.kind === "choice" ? (key.choices ?? []).map((choice) => `\`${choice}\``).join(" ")
    : key.kind === "count" && key.range !== undefined ? `${key.range[0]} to ${key.range[1]}`
    : key.kind === "any" ? "" : key.kind

const row = (key: Key): string =>
  `| ${code(key.env)} | ${code(key.yaml)} | ${key.state === "works" ? unit(key) : key.state === "later" ? "warning" : "**error**"} | ${key.standard === "" ? "" : code(key.standard)} | ${key.meaning} |`

const table = ({ title, keys }: (typeof sections)[number]): string =>
  [`## ${title}`, "", `| environment | YAML | ${keys[0]?.state === "works" ? "value" : "when it is set"} | default | meaning |`, "|---|---|---|---|---|", ...keys.map(row), ""].join("\n")

const head = `# Configuration

Written by \`node scripts/configuration-docs.ts\` from the table that the program reads; a test holds the two together.

- **Order:** flag, then environment, then file (\`-c FILE\`: \`.env\`, \`.yaml\`, \`.yml\`). Where a variable overrides a YAML or .env file, a line on stderr says so. An empty variable is one that is not set.
- **Every problem at once**, with file, line and key, exit code 3. An unknown key in a file is an error that names the nearest known one; an unknown \`PGSTREAM_*\` variable in the environment is a warning (those that Kubernetes makes for a Service named pgstream are passed over).
- **\`\${NAME}\`** and \`\${NAME:-default}\` in a file are replaced, from the environment and from the variables of the \`.env\` file itself; \`$\${\` stands for \`\${\`. Single quotes in \`.env\` keep the text as it is.
- **\`NAME_FILE\`** (in YAML \`key_file\`) names a file that holds the value: for passwords and tokens.
- **Durations:** \`60s\`, \`500ms\`, \`1m30s\`, \`1h\`; in YAML also a whole number in the unit of the key. A bare \`60\` in the environment is an error. Zero and below mean the default.
- **Sizes:** a number of bytes, or with KB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024). **Booleans:** true, false, 1, 0, t, f.
- **Postgres URLs** as libpq reads them, \`sslmode\`, \`sslrootcert\`, \`sslcert\`, \`sslkey\` included; what one lacks comes from \`PGHOST\`, \`PGPORT\`, \`PGUSER\`, \`PGPASSWORD\`, \`PGDATABASE\`, \`PGSSLMODE\`, …
- Passwords and tokens are never logged or shown. (A password in \`--postgres-url\` is in the system's list of processes: prefer a file or the environment.) A configuration file, and one that \`NAME_FILE\` names, has at most 1 MiB.

The rows marked *warning* only tune or observe and have no effect yet; those marked **error** would change what is sent, so they are refused until they are there.
`

const tail = `## Flags

| flag | commands | key |
|---|---|---|
| \`--postgres-url\` | init, destroy, status, run, start, snapshot | \`PGSTREAM_POSTGRES_LISTENER_URL\` |
| \`--replication-slot\` | init, destroy, status, run, start, snapshot | \`PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME\` |
| \`--plugin\` | init, run, start | \`PGSTREAM_POSTGRES_REPLICATION_PLUGIN_NAME\` |
| \`--source postgres\`, \`--source-url\` | run, start | switches the injector on; the same as \`--postgres-url\` |
| \`--log-level\`, \`--log-format\`, \`--no-color\` | all | \`PGSTREAM_LOG_LEVEL\`, \`PGSTREAM_LOG_FORMAT\`, \`PGSTREAM_LOG_NO_COLOR\` |
| \`-c\`, \`--config\` | all | the file |
| \`--adopt\`, \`--wait\`, \`--keep-identities\`, \`--print-sql\` | init | see \`pgstream init --help\` |
| \`--snapshot-tables\` | run, start | \`PGSTREAM_POSTGRES_SNAPSHOT_TABLES\`, and the mode \`snapshot_and_replication\` |
| \`--tables\`, \`--excluded-tables\`, \`--mode\` | snapshot | \`PGSTREAM_POSTGRES_SNAPSHOT_TABLES\`, \`…_EXCLUDED_TABLES\`, \`…_MODE\` |
| \`--init\` | run, start | do what init does before |
| \`--json\` | status | |

Variables that begin with ${refusedPrefixes.map(([prefix]) => `\`${prefix}\``).join(", ")} are refused, too.

Exit codes: 0 ok · 1 failed, or \`status\` with findings · 2 usage · 3 configuration · 4 precondition of the environment (Node, Postgres, slot, schema).
`

export const text = [head, ...sections.map(table), tail].join("\n")
