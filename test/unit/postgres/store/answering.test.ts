import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ConstraintError, DeadlockError, SqlError } from "effect/sql/SqlError"
import * as TestClock from "effect/testing/TestClock"
import { answering } from "../../../../src/layers/postgres/store/StoreRetry.ts"

const detail = { code: "23514", detail: "Failing row contains (a secret)." }
const constraint = new SqlError({ reason: new ConstraintError({ cause: detail, message: "violates a check", operation: "execute" }) })
const deadlock = new SqlError({ reason: new DeadlockError({ cause: { code: "40P01" }, message: "deadlock detected", operation: "execute" }) })

it.effect("sends again what collided, three times", () =>
  Effect.gen(function*() {
    let tries = 0
    const work = (failures: number) => Effect.suspend(() => ++tries <= failures ? Effect.fail(deadlock) : Effect.succeed(tries))
    assert.strictEqual(yield* answering("1 seconds", work(3), (why) => why), 4)
    tries = 0
    const why = yield* Effect.flip(answering("1 seconds", work(9), (seen) => seen))
    assert.strictEqual(tries, 4)
    assert.include(why.cause.message, "40P01")
  }))

it.effect("does not wait for a store that is away", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.flip(answering("10 seconds", Effect.never, (why) => why)))
    yield* TestClock.adjust("10 seconds")
    const { cause, unavailable } = yield* Fiber.join(fiber)
    assert.deepStrictEqual([unavailable, cause.message], [true, "no answer within 10 seconds"])
  }))

it.effect("says that it was refused, without the row; errors of others are what they are", () =>
  Effect.gen(function*() {
    const { cause, unavailable } = yield* Effect.flip(answering("1 seconds", Effect.fail(constraint), (why) => why))
    assert.deepStrictEqual([unavailable, cause.message.includes("23514"), cause.message.includes("secret")], [false, true, false])
    assert.strictEqual(yield* Effect.flip(answering("1 seconds", Effect.fail("mine" as const), () => "other" as const)), "mine")
  }))
