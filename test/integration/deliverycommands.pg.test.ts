import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as CheckpointPg from "../../src/layers/postgres/store/CheckpointPg.ts"
import * as DeliveryCommandsPg from "../../src/layers/postgres/store/DeliveryCommandsPg.ts"
import { Checkpoint } from "../../src/services/Checkpoint.ts"
import { DeliveryCommands } from "../../src/services/DeliveryCommands.ts"
import { SecretSettings } from "../../src/services/Settings.ts"
import { suite } from "../suites/DeliveryCommandsSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("deliverycommands")
const store = migratedStore(database.url)
const key = Layer.succeed(SecretSettings, { key: Redacted.make(randomBytes(32)), previous: [] })
/** Takes the stream over, as a service does. */
const process = () => Layer.mergeAll(CheckpointPg.layer, DeliveryCommandsPg.layer).pipe(Layer.provide(key), Layer.provide(store))
const takeOver = (stream: { readonly systemIdentifier: string; readonly slotName: string }) =>
  Effect.flatMap(Checkpoint, (checkpoint) => Effect.asVoid(checkpoint.load(stream, "")))

suite("postgres", process(), takeOver)

const stream = { systemIdentifier: "1", slotName: "s" }
const request = { kind: "retry" as const, selector: { key: [{ column: "id", value: "a secret value" }] }, target: Redacted.make("http://u:hidden@h/"), rate: undefined, by: "x" }

it.live("a tool beside the service carries out nothing; of two services the one that took the stream over last does", () =>
  Effect.scoped(Effect.gen(function*() {
    const [tool, first, second] = yield* Effect.all([Layer.build(Layer.fresh(process())), Layer.build(Layer.fresh(process())), Layer.build(Layer.fresh(process()))])
    const next = DeliveryCommands.use((commands) => commands.next(stream))
    const id = yield* Effect.provideContext(DeliveryCommands.use((commands) => commands.add(stream, request)), tool!)
    assert.isUndefined(yield* Effect.provideContext(next, tool!))
    yield* Effect.provideContext(takeOver(stream), first!)
    const begun = yield* Effect.provideContext(next, first!)
    assert.strictEqual(begun?.id, id)
    yield* Effect.provideContext(takeOver(stream), second!)
    assert.isFalse(yield* Effect.provideContext(DeliveryCommands.use((commands) => commands.progress(stream, id, begun!)), first!))
    assert.isUndefined(yield* Effect.provideContext(next, first!))
    assert.strictEqual((yield* Effect.provideContext(next, second!))?.id, id)
  })))

it("neither a value of a key nor a password is in the table in the clear", () => {
  const stored = database.psql("SELECT c.*, encode(selector, 'escape'), encode(target, 'escape') FROM pgstream.delivery_commands c")
  assert.include(stored, "a key (id)")
  for (const secret of ["secret", "hidden"]) assert.notInclude(stored, secret)
})

it.live("what was meant, and the URL, go when a command ends or is cancelled: an erased value is not kept by its erasure", () =>
  Effect.scoped(Effect.gen(function*() {
    const own = { systemIdentifier: "1", slotName: "ended" }
    const context = yield* Layer.build(Layer.fresh(process()))
    yield* Effect.provideContext(takeOver(own), context)
    yield* Effect.provideContext(Effect.gen(function*() {
      const commands = yield* DeliveryCommands
      const [done, cancelled] = [yield* commands.add(own, { ...request, kind: "purge" }), yield* commands.add(own, request)]
      const begun = yield* commands.next(own)
      assert.strictEqual(begun?.id, done)
      yield* commands.end(own, done, "done", { ...begun!, note: "" })
      assert.isTrue(yield* commands.cancel(own, cancelled))
      assert.isUndefined(yield* commands.next(own))
      assert.strictEqual((yield* commands.get(own, done))?.described, "a key (id)")
    }), context)
    const kept = database.psql("SELECT length(selector), target IS NULL FROM pgstream.delivery_commands WHERE stream = '1/ended' ORDER BY id")
    assert.strictEqual(kept.trim(), "0|t\n0|t")
  })))
