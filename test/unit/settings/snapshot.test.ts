/** Keys of copies, and what a mode makes of them. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { formatProblem } from "../../../src/layers/settings/ConfigurationError.ts"
import { type Need, resolve } from "../../../src/layers/settings/Resolve.ts"
import { snapshotDefaults } from "../../../src/services/SnapshotSettings.ts"

const url = "postgres://postgres:postgres@localhost:5432?sslmode=disable"
const base = { PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url }
type Flags = Parameters<typeof resolve>[0]["flags"]
interface Given {
  readonly env?: Record<string, string>
  readonly file?: readonly [name: string, text: string]
  readonly flags?: Flags
  readonly need?: Partial<Need>
}
const given = ({ env = {}, file, flags = {}, need }: Given) => {
  const { problems, settings, warnings } = resolve(
    { env, flags, file: file === undefined ? undefined : { name: file[0], text: file[1] }, readFile: () => Result.fail("") },
    { target: true, ...need }
  )
  return { settings, problems: problems.map(formatProblem), warnings: warnings.map(formatProblem) }
}
const good = (from: Given) => {
  const { problems, settings, warnings } = given(from)
  assert.deepStrictEqual(problems, [])
  if (settings === undefined) throw new Error("no settings")
  const texts = (list: ReadonlyArray<{ readonly text: string }>) => list.map(({ text }) => text)
  const { excluded, schemaOnly, tables, ...rest } = settings.snapshot
  return { settings, warnings, snapshot: { ...rest, tables: texts(tables), excluded: texts(excluded), schemaOnly: texts(schemaOnly) } }
}
const yaml = (mode: string, block = "", more = "") => ({
  file: ["pg.yaml", `source:\n  postgres:\n    url: "${url}"\n${mode === "" ? "" : `    mode: ${mode}\n`}${block}target:\n  webhooks:\n    subscriptions:\n      store:\n        url: "${url}"\n${more}`] as const
})
const full = `    snapshot:
      mode: full
      tables: ["*", '"My Table"', a.*]
      excluded_tables: [secret, 'a.*_tmp']
      recorder:
        repeatable_snapshots: true
        postgres_url: "${url}"
      schema:
        mode: schemalog
      snapshot_workers: 2
      data:
        schema_workers: 3
        table_workers: 5
        batch_bytes: 1048576
`

/** The two files of the tutorial that we replace, "With initial snapshot". */
const original = readFileSync("test/fixtures/tutorial-snapshot.md", "utf8")
const fenced = (language: string) => new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(original)![1]!

describe("the original tutorial's two files with an initial snapshot", () => {
  it("the variables: a copy of public, then the stream", () => {
    const { settings, snapshot, warnings } = good({ file: ["pg2webhook_tutorial.env", fenced("sh")] })
    assert.deepStrictEqual(warnings, [])
    assert.deepStrictEqual(snapshot, { ...snapshotDefaults, mode: "snapshot_and_replication", tables: ["*"], excluded: [], schemaOnly: [] })
    assert.strictEqual(settings.source.slotName, "pgstream_tutorial_slot")
  })
  it("the YAML as written, mode replication: it starts, and says that nothing is copied", () => {
    const { settings, snapshot, warnings } = good({ file: ["pg2webhook_tutorial.yaml", fenced("yaml")] })
    assert.strictEqual(snapshot.mode, "replication")
    assert.isTrue(settings.injector)
    assert.deepStrictEqual(warnings, [
      "pg2webhook_tutorial.yaml:8  source.postgres.snapshot.mode  and 5 more of copies are not used in mode `replication`; a copy is made in mode `snapshot_and_replication`"
    ])
  })
  it("the YAML with mode snapshot_and_replication: pgdump_pgrestore is schemalog, with a warning", () => {
    const text = fenced("yaml").replace("mode: replication #", "mode: snapshot_and_replication #")
    const { snapshot, warnings } = good({ file: ["pg2webhook_tutorial.yaml", text] })
    assert.deepStrictEqual(snapshot, { ...snapshotDefaults, mode: "snapshot_and_replication", tables: ["*"], excluded: [], schemaOnly: [], repeatable: true })
    assert.deepStrictEqual(warnings.map((line) => line.split("  ").slice(1, 3).join(" ").slice(0, 90)), [
      "source.postgres.snapshot.schema.mode `pgdump_pgrestore` needs a Postgres target; webhooks ge",
      "source.postgres.snapshot.schema.pgdump_pgrestore has no effect. It is for a dump that is res"
    ].map((line) => line.slice(0, 90)))
  })
})

describe("the mode", () => {
  it("follows from the variables where it is not written", () => {
    assert.strictEqual(good({ env: base }).snapshot.mode, "replication")
    assert.strictEqual(good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "a" } }).snapshot.mode, "snapshot_and_replication")
    const { PGSTREAM_POSTGRES_LISTENER_URL: _, ...store } = base
    const alone = good({ env: { ...store, PGSTREAM_POSTGRES_SNAPSHOT_LISTENER_URL: "postgres://u@db9/x", PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "a" } })
    assert.strictEqual(alone.snapshot.mode, "snapshot")
    assert.include(Redacted.value(alone.settings.source.url), "db9")
  })
  it("as written holds; a flag for tables makes it a copy and the stream", () => {
    for (const mode of ["snapshot", "snapshot_and_replication"]) assert.strictEqual(good(yaml(mode, full)).snapshot.mode, mode)
    const flags: Flags = { "snapshot.tables": { flag: "--snapshot-tables", value: "a,b" } }
    const { snapshot } = good({ ...yaml("replication"), flags })
    assert.deepStrictEqual([snapshot.mode, ...snapshot.tables], ["snapshot_and_replication", "a", "b"])
  })
  it("of the command is a copy, repeatable unless it is said otherwise, and it may ask for tables itself", () => {
    assert.deepStrictEqual(good({ ...yaml("replication"), need: { copy: true } }).snapshot, {
      ...snapshotDefaults, mode: "snapshot", repeatable: true, tables: [], excluded: [], schemaOnly: []
    })
    assert.isFalse(good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_STORE_REPEATABLE: "false" }, need: { copy: true } }).snapshot.repeatable)
  })
})

describe("the keys", () => {
  it("of YAML are read, workers as tables and chunks at the same time", () => {
    const { snapshot, warnings } = good(yaml("snapshot_and_replication", full))
    assert.deepStrictEqual(warnings, [])
    assert.deepStrictEqual(snapshot, {
      mode: "snapshot_and_replication", content: "full", tables: ["*", '"My Table"', "a.*"], excluded: ["secret", "a.*_tmp"], schemaOnly: [],
      repeatable: true, tablesAtOnce: 6, chunksAtOnce: 5, maxConnections: 4, chunkBytes: 1_048_576, progress: true
    })
  })
  it("of the environment say the same", () => {
    const names = {
      TABLES: '* "My Table" a.*', EXCLUDED_TABLES: "secret a.*_tmp", STORE_URL: url, STORE_REPEATABLE: "true", WORKERS: "2", SCHEMA_WORKERS: "3",
      TABLE_WORKERS: "5", BATCH_BYTES: "1MiB", MODE: "full"
    }
    const env = Object.fromEntries(Object.entries(names).map(([name, value]) => [`PGSTREAM_POSTGRES_SNAPSHOT_${name}`, value]))
    assert.deepStrictEqual(good({ env: { ...base, ...env } }).snapshot, good(yaml("snapshot_and_replication", full)).snapshot)
  })
  it("take schema-only tables, a bound of connections, and no progress", () => {
    const { snapshot } = good({ env: {
      ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "*", PGSTREAM_POSTGRES_SNAPSHOT_SCHEMA_ONLY_TABLES: "big b.*",
      PGSTREAM_POSTGRES_SNAPSHOT_MAX_CONNECTIONS: "2", PGSTREAM_POSTGRES_SNAPSHOT_DISABLE_PROGRESS_TRACKING: "true"
    } })
    assert.deepStrictEqual([snapshot.schemaOnly, snapshot.maxConnections, snapshot.progress], [["big", "b.*"], 2, false])
  })
  it("a chunk is at most 8 MiB, with a warning above", () => {
    const { snapshot, warnings } = good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "*", PGSTREAM_POSTGRES_SNAPSHOT_BATCH_BYTES: "83886080" } })
    assert.strictEqual(snapshot.chunkBytes, 8 * 1024 * 1024)
    assert.deepStrictEqual(warnings, ["environment  PGSTREAM_POSTGRES_SNAPSHOT_BATCH_BYTES  is above 8MiB, which is the most: 8MiB holds"])
  })
  it("for a Postgres target are warnings, each", () => {
    const { warnings } = good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "*", PGSTREAM_POSTGRES_SNAPSHOT_ROLE: "x", PGSTREAM_POSTGRES_SNAPSHOT_NO_OWNER: "true" } })
    assert.deepStrictEqual(warnings.map((line) => line.split("  ")[1]), ["PGSTREAM_POSTGRES_SNAPSHOT_ROLE", "PGSTREAM_POSTGRES_SNAPSHOT_NO_OWNER"])
  })
  it("without tables: one line of warning for all", () => {
    assert.deepStrictEqual(good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_WORKERS: "2", PGSTREAM_POSTGRES_SNAPSHOT_ROLE: "x" } }).warnings, [
      "environment  PGSTREAM_POSTGRES_SNAPSHOT_WORKERS  and 1 more of copies are not used in mode `replication`; a copy is made in mode `snapshot_and_replication`"
    ])
    assert.include(good(yaml("snapshot_and_replication", "    snapshot:\n      tables: []\n")).warnings.join(), "is empty: nothing is copied")
  })
  it("name another database for the requests: a line says that it is the source", () => {
    assert.include(good({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "*", PGSTREAM_POSTGRES_SNAPSHOT_STORE_URL: "postgres://u@other/x" } }).warnings.join(), "recorded in the source")
  })
})

describe("what is wrong", () => {
  const problems = (from: Given) => given(from).problems
  it("is a mode without tables, tables without a mode, and a variable against the file's mode", () => {
    assert.include(problems(yaml("snapshot_and_replication")).join(), "source.postgres.snapshot.tables  is needed")
    assert.include(problems(yaml("", full)).join(), "needs source.postgres.mode")
    assert.include(problems({ ...yaml("replication"), env: { PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "a" } }).join(), "the file says `mode: replication`")
  })
  it("is a pattern that is none, with its reason", () => {
    assert.deepStrictEqual(problems({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "a.b.c ok", PGSTREAM_POSTGRES_SNAPSHOT_EXCLUDED_TABLES: '"x' } }).map((line) => line.split("  ").slice(1).join(" ").slice(0, 80)), [
      "PGSTREAM_POSTGRES_SNAPSHOT_TABLES a.b.c has more than one dot; write schema.tabl", "PGSTREAM_POSTGRES_SNAPSHOT_EXCLUDED_TABLES \"x has a double quote that is not clo"
    ])
  })
  it("is an unknown mode of the copy, and schema-only tables of one that sends no schema", () => {
    assert.include(problems(yaml("snapshot", "    snapshot:\n      mode: all\n      tables: [a]\n")).join(), "unsupported snapshot mode, must be one of 'full', 'schema' or 'data'")
    assert.include(problems(yaml("snapshot", "    snapshot:\n      mode: data\n      tables: [a]\n      schema_only_tables: [b]\n")).join(), "use mode `full`")
    assert.include(problems(yaml("snapshot", "    snapshot:\n      tables: [a]\n      schema: {mode: x}\n")).join(), "unsupported schema snapshot mode, must be one of 'pgdump_pgrestore' or 'schemalog'")
  })
  it("is two sources", () => {
    assert.include(problems({ env: { ...base, PGSTREAM_POSTGRES_SNAPSHOT_LISTENER_URL: "postgres://u@other/x", PGSTREAM_POSTGRES_SNAPSHOT_TABLES: "a" } }).join(), "only one listener")
  })
})
