/** The contract of `Checkpoint`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import type { StreamId } from "../../src/domain/StreamId.ts"
import type { Subscription } from "../../src/domain/Subscription.ts"
import type { SchemaVersion, ShapesDelta, TableShape } from "../../src/domain/TableShape.ts"
import { Checkpoint, type CheckpointState, type CheckpointUpdate } from "../../src/services/Checkpoint.ts"

let streams = 0
/** Each test has a stream of its own: implementations keep what others stored. */
const newStream = (): StreamId => ({ systemIdentifier: "7000000000000000000", slotName: `slot_${streams++}` })

const definition = (more: Partial<Subscription> = {}): Subscription => ({
  id: randomUUID(), endpointId: randomUUID(), url: "http://a/", schema: "", table: "", eventTypes: [], createdAtUs: 1_790_000_000_000_001, ...more
})

const shape = (oid: number, name: string): TableShape => ({
  oid, schema: "public", name, kind: "r", persistence: "p", replicaIdentity: "d", fullIsOurs: undefined, root: oid, parents: [],
  columns: [{ attnum: 1, name: "it's \"id\"\n", typeOid: 20, typmod: -1, type: "bigint", notNull: true, default: "nextval('s'::regclass)", generated: false, identity: "", comment: null }],
  indexes: [{ primary: true, replicaIdentity: false, immediate: true, plainUnique: true, key: [1] }],
  tableId: undefined
})
const version = (schema: string, n: number, outdated?: ReadonlyArray<TableShape>): SchemaVersion =>
  ({ schema, version: n, entryId: `entry-${n}`, tables: [1, 2], ...(outdated === undefined ? {} : { outdated }) })

const noShapes: ShapesDelta = { tables: new Map(), versions: new Map(), entries: [], newIds: [] }
const update = (position: number, more: Partial<CheckpointUpdate> = {}): CheckpointUpdate =>
  ({ position, counts: new Map(), upserted: [], removed: [], shapes: noShapes, ...more })

/** The seed is random. */
const without = ({ epochSeed: _, ...state }: CheckpointState): CheckpointState => state

const ordered = (state: CheckpointState): CheckpointState => ({
  ...without(state),
  definitions: state.definitions.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  shapes: {
    ...state.shapes,
    tables: state.shapes.tables.toSorted((a, b) => a.oid - b.oid),
    versions: state.shapes.versions.toSorted((a, b) => (a.schema < b.schema ? -1 : 1))
  }
})

export const suite = <E>(name: string, layer: Layer.Layer<Checkpoint, E>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Checkpoint (${name})`, (it) => {
    it.effect("is empty, at position 0, before anything was stored", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        assert.deepStrictEqual(without(yield* checkpoint.load(stream, "v1")), {
          stream, position: 0, counts: new Map(), definitions: [], shapes: { tables: [], versions: [], recent: [] }, versions: "v1"
        })
      }))

    it.effect("tells the position alone, and changes nothing by it", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const endpoint = randomUUID()
        assert.strictEqual(yield* checkpoint.position(stream), 0)
        yield* checkpoint.load(stream, "v1")
        yield* checkpoint.save(stream, update(0x16b374d848, { counts: new Map([[endpoint, { count: 7, epoch: "first" }]]) }))
        assert.strictEqual(yield* checkpoint.position(stream), 0x16b374d848)
        assert.deepStrictEqual((yield* checkpoint.load(stream, "v1")).counts.get(endpoint), { count: 7, epoch: "first" })
      }))

    it.effect("loads what was saved, the changes of all saves together", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()]
        const [kept, changed, gone] = [definition({ eventTypes: ["I", "M"] }), definition({ schema: "S", table: "it's" }), definition()]
        yield* checkpoint.load(stream, "v1")
        yield* checkpoint.save(stream, update(0x16b374d848, {
          counts: new Map([[a, { count: 1, epoch: "ea" }], [b, { count: 2, epoch: "eb" }]]),
          upserted: [kept, changed, gone],
          shapes: {
            ...noShapes,
            tables: new Map([[1, shape(1, "one")], [2, shape(2, "two")], [4_294_967_295, shape(4_294_967_295, "high")]]),
            versions: new Map([["public", version("public", 1)], ["s", version("s", 1)]]),
            recent: [{ oid: 1, xid: 10, id: 100 }]
          }
        }))
        yield* checkpoint.save(stream, update(0x16b374d849, {
          counts: new Map([[b, { count: 5_000_000_000, epoch: "eb" }], [c, { count: 1, epoch: "ec" }]]),
          upserted: [{ ...changed, url: "http://b/" }],
          removed: [gone.id],
          shapes: {
            ...noShapes,
            tables: new Map([[1, undefined], [2, { ...shape(2, "renamed"), tableId: "id2", fullIsOurs: "d" as const }]]),
            versions: new Map([["public", version("public", 2, [shape(1, "one")])]])
          }
        }))
        assert.deepStrictEqual(ordered(yield* checkpoint.load(stream, "v1")), ordered({
          stream,
          position: 0x16b374d849,
          counts: new Map([[a, { count: 1, epoch: "ea" }], [b, { count: 5_000_000_000, epoch: "eb" }], [c, { count: 1, epoch: "ec" }]]),
          definitions: [kept, { ...changed, url: "http://b/" }],
          shapes: {
            tables: [{ ...shape(2, "renamed"), tableId: "id2", fullIsOurs: "d" }, shape(4_294_967_295, "high")],
            versions: [version("public", 2, [shape(1, "one")]), version("s", 1)],
            recent: [{ oid: 1, xid: 10, id: 100 }]
          },
          versions: "v1"
        }))
      }))

    it.effect("a lower position changes nothing, the same one does", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const endpoint = randomUUID()
        const counts = (count: number) => ({ counts: new Map([[endpoint, { count, epoch: "e" }]]) })
        yield* checkpoint.save(stream, update(20, counts(2)))
        yield* checkpoint.save(stream, update(10, { ...counts(1), upserted: [definition()] }))
        const late = yield* checkpoint.load(stream, "v")
        assert.deepStrictEqual([late.position, late.counts.get(endpoint)?.count, late.definitions.length], [20, 2, 0])
        yield* checkpoint.save(stream, update(20, counts(3)))
        assert.strictEqual((yield* checkpoint.load(stream, "v")).counts.get(endpoint)?.count, 3)
      }))

    it.effect("counts start anew, with a new epoch, when the versions differ; and stay so", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const endpoint = randomUUID()
        yield* checkpoint.load(stream, "v1")
        yield* checkpoint.save(stream, update(10, { counts: new Map([[endpoint, { count: 7, epoch: "first" }]]), upserted: [definition()] }))
        assert.deepStrictEqual((yield* checkpoint.load(stream, "v1")).counts.get(endpoint), { count: 7, epoch: "first" })
        const changed = yield* checkpoint.load(stream, "v2")
        assert.strictEqual(changed.counts.get(endpoint)?.count, 0)
        assert.match(changed.counts.get(endpoint)?.epoch ?? "", /^[0-9a-f]{16}$/)
        assert.deepStrictEqual([changed.position, changed.definitions.length, changed.versions], [10, 1, "v2"])
        assert.deepStrictEqual(yield* checkpoint.load(stream, "v2"), changed)
        assert.notStrictEqual((yield* checkpoint.load(stream, "v1")).counts.get(endpoint)?.epoch, changed.counts.get(endpoint)?.epoch)
      }))

    it.effect("reset forgets all of the stream and stores the state; counts have new epochs; other streams stay", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const [stream, other] = [newStream(), newStream()]
        const endpoint = randomUUID()
        const everything = update(10, {
          counts: new Map([[endpoint, { count: 7, epoch: "first" }]]),
          upserted: [definition()],
          shapes: { ...noShapes, tables: new Map([[1, shape(1, "one")]]), versions: new Map([["old", version("old", 3)]]), recent: [{ oid: 1, xid: 1, id: 1 }] }
        })
        yield* checkpoint.load(stream, "v1")
        yield* checkpoint.save(stream, everything)
        yield* checkpoint.save(other, everything)
        const kept = definition({ table: "t" })
        yield* checkpoint.reset({
          stream, position: 0, counts: new Map(), definitions: [kept], versions: "",
          shapes: { tables: [shape(2, "two")], versions: [version("public", 1)] }
        })
        const state = yield* checkpoint.load(stream, "v2")
        assert.deepStrictEqual({ ...without(state), counts: new Map() }, {
          stream, position: 0, counts: new Map(), definitions: [kept], versions: "v2",
          shapes: { tables: [shape(2, "two")], versions: [version("public", 1)], recent: [] }
        })
        assert.strictEqual(state.counts.get(endpoint)?.count ?? 0, 0)
        assert.notStrictEqual(state.counts.get(endpoint)?.epoch, "first")
        const untouched = yield* checkpoint.load(other, "v1")
        assert.deepStrictEqual([untouched.position, untouched.counts.get(endpoint)?.count, untouched.shapes.tables.length], [10, 7, 1])
      }))

    it.effect("versions that init did not know do not restart the counts", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const endpoint = randomUUID()
        yield* checkpoint.reset({
          stream, position: 0, counts: new Map([[endpoint, { count: 3, epoch: "kept" }]]), definitions: [], versions: "",
          shapes: { tables: [], versions: [] }
        })
        assert.deepStrictEqual((yield* checkpoint.load(stream, "v1")).counts.get(endpoint), { count: 3, epoch: "kept" })
      }))

    it.effect("the seed of epochs is there from the first load, stays, and changes when the counts start anew", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const seed = (yield* checkpoint.load(stream, "v1")).epochSeed
        assert.isString(seed)
        yield* checkpoint.save(stream, update(10))
        assert.strictEqual((yield* checkpoint.load(stream, "v1")).epochSeed, seed)
        const second = (yield* checkpoint.load(stream, "v2")).epochSeed
        assert.notStrictEqual(second, seed)
        yield* checkpoint.reset({ stream, position: 0, counts: new Map(), definitions: [], versions: "", shapes: { tables: [], versions: [] } })
        const third = (yield* checkpoint.load(stream, "v2")).epochSeed
        assert.isString(third)
        assert.notStrictEqual(third, second)
      }))

    it.effect("saves and loads the counts of 10,000 endpoints", () =>
      Effect.gen(function*() {
        const checkpoint = yield* Checkpoint
        const stream = newStream()
        const counts = new Map(Array.from({ length: 10_000 }, (_, i) => [randomUUID() as string, { count: i, epoch: `e${i}` }]))
        yield* checkpoint.save(stream, update(1, { counts }))
        const again = new Map(Array.from(counts, ([id, c]) => [id, { count: c.count + 1, epoch: c.epoch }]))
        yield* checkpoint.save(stream, update(2, { counts: again }))
        assert.deepStrictEqual((yield* checkpoint.load(stream, "v")).counts, again)
      }))
  })
