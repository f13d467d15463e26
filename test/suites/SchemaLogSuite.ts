/** The contract of `SchemaLog`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as SchemaEntry from "../../src/domain/SchemaEntry.ts"
import type { SchemaLogEntry } from "../../src/domain/TableShape.ts"
import * as Xid from "../../src/domain/Xid.ts"
import { SchemaLog } from "../../src/services/SchemaLog.ts"

export interface SchemaLogHarness<R> {
  /** `schema_name version`, by schema, then version; only acked ones. */
  readonly entries: Effect.Effect<ReadonlyArray<string>, never, R>
  readonly ids: Effect.Effect<ReadonlyMap<number, string>, never, R>
}

const base = "dc2ebctv8h41bfrnev30"
const entry = (schema: string, version: number, json = `{"tables": null}`, createdAt = "2026-11-24 00:12:21.22944"): SchemaLogEntry =>
  ({ id: Xid.derive(base, `${schema} ${version}`), version, schema, json, createdAt, lsn: 0 })
const id = (oid: number) => ({ id: Xid.derive(base, `table ${oid}`), oid })

export const suite = <R, E>(name: string, layer: Layer.Layer<SchemaLog | R, E>, harness: SchemaLogHarness<R>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`SchemaLog (${name})`, (it) => {
    it.effect("writes entries as acked, and ids", () =>
      Effect.gen(function*() {
        const log = yield* SchemaLog
        yield* log.write([entry("a", 1), entry("a", 2, `{"tables": [{"oid": "1", "name": "it's \\"q\\""}]}`)], [id(1), id(2)])
        assert.deepStrictEqual(yield* harness.entries, ["a 1", "a 2"])
        assert.deepStrictEqual(yield* harness.ids, new Map([[1, id(1).id], [2, id(2).id]]))
      }))

    it.effect("leaves what is there when it is written again", () =>
      Effect.gen(function*() {
        const log = yield* SchemaLog
        yield* log.write([entry("a", 1), entry("a", 2)], [id(1), id(2)])
        yield* log.write([entry("a", 1), entry("a", 2), entry("b", 1)], [{ ...id(9), oid: 2 }])
        assert.deepStrictEqual(yield* harness.entries, ["a 1", "a 2", "b 1"])
        assert.strictEqual((yield* harness.ids).get(2), id(2).id)
      }))

    it.effect("ends the ids of dropped tables", () =>
      Effect.gen(function*() {
        const log = yield* SchemaLog
        yield* log.write([], [id(3)], [1])
        assert.deepStrictEqual([...(yield* harness.ids).keys()].toSorted(), [2, 3])
      }))

    it.effect("ends the entries before a schema was dropped, and keeps those of others", () =>
      Effect.gen(function*() {
        const log = yield* SchemaLog
        yield* log.write([entry("a", 3, SchemaEntry.droppedJson)], [])
        assert.deepStrictEqual(yield* harness.entries, ["a 3", "b 1"])
        yield* log.write([entry("a", 4)], [])
        yield* log.write([entry("b", 2, SchemaEntry.droppedJson, "2026-12-02 00:00:00")], [])
        assert.deepStrictEqual(yield* harness.entries, ["a 4", "b 2"])
      }))

    it.effect("writes more than one statement may hold", () =>
      Effect.gen(function*() {
        const log = yield* SchemaLog
        const large = `{"tables": [{"name": "${"x".repeat(3 * 1024 * 1024)}"}]}`
        yield* log.write([1, 2, 3].map((version) => entry("large", version, large)), [])
        assert.deepStrictEqual((yield* harness.entries).filter((e) => e.startsWith("large")), ["large 1", "large 2", "large 3"])
      }))
  })
