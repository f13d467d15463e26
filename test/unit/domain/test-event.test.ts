import { assert, it } from "vitest"
import * as TestEvent from "../../../src/domain/TestEvent.ts"

it("has the form of every other body of a logical message", () => {
  const text = TestEvent.body(Date.UTC(2026, 10, 24, 12, 0, 0, 250))
  const { Data } = JSON.parse(text) as { readonly Data: Readonly<Record<string, unknown>> }
  assert.deepStrictEqual(Object.keys(Data), [
    "action", "timestamp", "lsn", "schema", "table", "columns", "identity", "metadata", "prefix", "content"
  ])
  assert.deepInclude(Data, { action: "M", timestamp: "2026-11-24 12:00:00.25+00", lsn: "0/0", prefix: "pgstream.test", columns: null })
})
