import { assert, describe, it } from "vitest"
import type { StatusReport } from "../../../src/services/Setup.ts"
import { SetupError } from "../../../src/services/Setup.ts"
import { SourceError } from "../../../src/services/ChangeSource.ts"
import { ListenerError } from "../../../src/services/Listener.ts"
import { decide, notThereYet } from "../../../src/layers/cli/Failure.ts"
import { describeError } from "../../../src/layers/cli/Logging.ts"
import { headline, json, text } from "../../../src/layers/cli/StatusText.ts"

const good: StatusReport = {
  schemaExists: true, schemaLogExists: true, migrationVersion: 7, migrationDirty: false, slotName: "pgstream_tutorial_slot",
  slotPlugin: "wal2json", slotDatabase: "postgres", reachable: true, findings: [], notes: []
}

describe("status", () => {
  it("is the tutorial's block, line by line", () => {
    assert.strictEqual(headline(good), "SUCCESS  pgstream status check encountered no issues")
    assert.deepStrictEqual(text(good).split("\n"), [
      "Initialisation status:", " - Pgstream schema exists: true", " - Pgstream schema_log table exists: true",
      " - Migration current version: 7", " - Migration status: success", " - Replication slot name: pgstream_tutorial_slot",
      " - Replication slot plugin: wal2json", " - Replication slot database: postgres", "Config status:", " - Valid: true",
      "Transformation rules status:", " - Valid: true", "Source status:", " - Reachable: true"
    ])
  })
  it("puts a finding at its line and names what to do, once for each mend", () => {
    const bad: StatusReport = {
      ...good, schemaExists: false,
      findings: [
        { area: "init", part: "schema", code: "SchemaMissing", summary: "no schema", mend: "pgstream init" },
        { area: "init", part: "migration", code: "SchemaMissing", summary: "no table", mend: "pgstream init" },
        { area: "init", part: "slot", code: "SlotMissing", summary: "no slot", mend: "pgstream init" },
        { area: "config", code: "ConfigInvalid", summary: "a.yaml:1  x  is no known key", mend: "" }
      ]
    }
    assert.strictEqual(headline(bad), "WARNING  pgstream status check identified issues with init, config")
    const lines = text(bad).split("\n")
    assert.include(lines, " - Pgstream schema errors: [no schema]")
    assert.include(lines, " - Migration errors: [no table]")
    assert.include(lines, " - Replication slot errors: [no slot]")
    assert.include(lines, " - Valid: false")
    assert.deepStrictEqual(lines.slice(lines.indexOf("What to do:")), [
      "What to do:", " - SchemaMissing: no schema", "   pgstream init", " - SlotMissing: no slot", "   pgstream init",
      " - ConfigInvalid: a.yaml:1  x  is no known key"
    ])
    const parsed = JSON.parse(json(bad))
    assert.deepStrictEqual(parsed.Init.ReplicationSlot.Errors, ["no slot"])
    assert.isFalse(parsed.Config.Valid)
    assert.strictEqual(parsed.Findings[2].Mend, "pgstream init")
  })
})

describe("exit codes", () => {
  it("follow the error", () => {
    const source = (permanent: boolean) => new SourceError({ code: "SlotMissing", permanent, summary: "s", mend: "m" })
    assert.strictEqual(decide(new SetupError({ code: "WalLevel", exitCode: 4, summary: "s", mend: "m" }))?.exitCode, 4)
    assert.strictEqual(decide(new ListenerError({ reason: source(true) }))?.exitCode, 4)
    assert.strictEqual(decide(source(false))?.exitCode, 1)
    assert.strictEqual(decide(notThereYet("x", "y"))?.exitCode, 2)
    assert.isUndefined(decide(new TypeError("a bug")))
  })
})

describe("log lines", () => {
  it("show only the code of an error that quotes a value", () => {
    const quoting = Object.assign(new Error('duplicate key: Key (email)=(alice@example.org) already exists'), { code: "23505" })
    assert.strictEqual(describeError(new Error("outer", { cause: quoting })), "Error SQLSTATE 23505")
    assert.notInclude(describeError(quoting), "alice")
    assert.strictEqual(describeError(Object.assign(new Error("gone"), { code: "57P01" })), "Error: gone (SQLSTATE 57P01)")
  })
})
