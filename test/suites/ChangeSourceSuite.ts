/** The contract of `ChangeSource`, run once per implementation. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Frame } from "../../src/domain/Frame.ts"
import type { Lsn } from "../../src/domain/Lsn.ts"
import { ChangeSource, type SourceConnection } from "../../src/services/ChangeSource.ts"
import { eventually } from "../support/eventually.ts"

/** What a frame says, as far as the suite needs it. */
export type Said = { readonly inserted: number } | { readonly commit: Lsn } | undefined

export interface SourceHarness<R> {
  /** Commits one transaction that inserts these numbers. */
  write(numbers: ReadonlyArray<number>): Effect.Effect<void, never, R>
  read(frame: Frame): Said
  /** Where the slot stands. */
  readonly confirmed: Effect.Effect<Lsn, never, R>
}

/** Reads until `count` numbers were inserted and committed. Returns them with the end LSN of each transaction. */
const take = Effect.fnUntraced(function*<R>(harness: SourceHarness<R>, connection: SourceConnection, count: number) {
  const numbers: Array<number> = []
  const commits: Array<Lsn> = []
  let committed = false
  while (numbers.length < count || !committed) {
    const { frames } = yield* connection.read
    assert.isNotEmpty(frames)
    for (const frame of frames) {
      const said = frame.keepalive ? undefined : harness.read(frame)
      if (said === undefined) continue
      committed = "commit" in said
      if ("commit" in said) commits.push(said.commit)
      else numbers.push(said.inserted)
    }
  }
  return { numbers, commits }
})

const range = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index)

export const suite = <R, E>(name: string, layer: Layer.Layer<ChangeSource | R, E>, harness: SourceHarness<R>) =>
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ChangeSource (${name})`, (it) => {
    let next = 1
    const numbers = (count: number) => {
      const from = next
      next += count
      return range(from, count)
    }
    const acknowledgeAll = Effect.gen(function*() {
      const source = yield* ChangeSource
      const mark = numbers(1)
      yield* harness.write(mark)
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* source.open(0)
        for (;;) {
          const { commits, numbers: seen } = yield* take(harness, connection, 1)
          connection.acknowledge(commits.at(-1)!)
          if (seen.includes(mark[0]!)) return
        }
      }))
    })

    it.effect("hands out what was committed, in order, with the name of the stream", () =>
      Effect.gen(function*() {
        const source = yield* ChangeSource
        const connection = yield* source.open(0)
        assert.deepStrictEqual(connection.stream, yield* source.identify)
        assert.isAbove(connection.serverVersion, 120_000)
        assert.strictEqual(connection.timeline, 1)
        const first = numbers(3)
        const second = numbers(2)
        yield* harness.write(first)
        yield* harness.write(second)
        const seen = yield* take(harness, connection, 5)
        assert.deepStrictEqual(seen.numbers, [...first, ...second])
        assert.strictEqual(seen.commits.length, 2)
        assert.isAbove(seen.commits[1]!, seen.commits[0]!)
      }).pipe(Effect.scoped))

    it.effect("acknowledges exactly what it is told, never less, and once more when it closes", () =>
      Effect.gen(function*() {
        yield* acknowledgeAll
        const source = yield* ChangeSource
        const scope = yield* Scope.make()
        const connection = yield* source.open(0).pipe(Scope.provide(scope))
        const before = yield* harness.confirmed
        yield* harness.write(numbers(1))
        yield* harness.write(numbers(1))
        yield* harness.write(numbers(1))
        const { commits } = yield* take(harness, connection, 3)
        assert.strictEqual(yield* harness.confirmed, before)
        connection.acknowledge(commits[1]!)
        yield* eventually("the second commit is acknowledged", Effect.map(harness.confirmed, (lsn) => lsn === commits[1]))
        connection.acknowledge(commits[0]!)
        connection.acknowledge(0)
        connection.acknowledge(commits[2]!)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* harness.confirmed, commits[2])
      }))

    it.effect("begins again after the acknowledged position, and above it when asked to", () =>
      Effect.gen(function*() {
        yield* acknowledgeAll
        const source = yield* ChangeSource
        const [a, b, c] = [numbers(1), numbers(1), numbers(1)]
        yield* harness.write(a)
        yield* harness.write(b)
        yield* harness.write(c)
        const first = yield* Effect.scoped(Effect.flatMap(source.open(0), (connection) => take(harness, connection, 3)))
        assert.deepStrictEqual(first.numbers, [...a, ...b, ...c])
        const before = yield* harness.confirmed
        const again = yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* source.open(first.commits[0]!)
          assert.strictEqual(connection.startedAt, first.commits[0])
          return yield* take(harness, connection, 2)
        }))
        assert.deepStrictEqual(again.numbers, [...b, ...c])
        assert.strictEqual(yield* harness.confirmed, before, "where reading starts is not acknowledged")
        const lower = yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* source.open(1)
          assert.strictEqual(connection.startedAt, before)
          return yield* take(harness, connection, 3)
        }))
        assert.deepStrictEqual(lower.numbers, [...a, ...b, ...c])
      }))

    it.effect("loses nothing when a read is interrupted", () =>
      Effect.gen(function*() {
        yield* acknowledgeAll
        const source = yield* ChangeSource
        const connection = yield* source.open(0)
        const waiting = yield* Effect.forkChild(Effect.forever(take(harness, connection, 1_000_000)))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
        const written = numbers(4)
        yield* harness.write(written)
        const seen: Array<number> = []
        while (seen.length < 4) seen.push(...(yield* take(harness, connection, 1)).numbers)
        assert.deepStrictEqual(seen, written)
      }).pipe(Effect.scoped))

    it.effect("refuses a second reader of the slot, and says that it may try again", () =>
      Effect.gen(function*() {
        const source = yield* ChangeSource
        yield* Effect.scoped(Effect.gen(function*() {
          yield* source.open(0)
          const error = yield* Effect.flip(Effect.scoped(source.open(0)))
          assert.deepStrictEqual([error.code, error.permanent], ["SlotInUse", false])
          assert.notStrictEqual(error.mend, "")
        }))
        yield* Effect.scoped(source.open(0))
      }))
  })
