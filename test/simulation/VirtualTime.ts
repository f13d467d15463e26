/**
 * Time, fibers and callbacks of one simulated process on one queue: what runs next is decided by the seed alone, and
 * a kill is the end of the queue. Nothing of Node's event loop is used.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"

interface Task {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class VirtualTime {
  now: number
  /** By how much the machine's clock was set back; timers do not follow it. */
  setBackMs = 0
  private tasks: Array<Task> = []
  private order = 0

  constructor(now: number) {
    this.now = now
  }

  later(ms: number, run: () => void): void {
    const task = { atMs: this.now + ms, order: this.order++, run }
    const tasks = this.tasks
    let i = tasks.length
    tasks.push(task)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(task, tasks[parent]!)) break
      tasks[i] = tasks[parent]!
      i = parent
    }
    tasks[i] = task
  }

  /** Runs tasks until `done`, or none is left, or `limitMs` has come. Returns whether `done` held. */
  runUntil(done: () => boolean, limitMs: number): boolean {
    while (!done()) {
      const next = this.tasks[0]
      if (next === undefined || next.atMs > limitMs) return false
      this.pop()
      this.now = Math.max(this.now, next.atMs)
      next.run()
    }
    return true
  }

  /** Nothing of this process runs any more. */
  kill(): void {
    this.tasks = []
  }

  readonly sleep = (ms: number): Effect.Effect<void> =>
    Effect.callback<void>((resume) => this.later(ms, () => resume(Effect.void)))

  get context(): Context.Context<never> {
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: () => this.now - this.setBackMs,
      currentTimeMillis: Effect.sync(() => this.now - this.setBackMs),
      currentTimeNanosUnsafe: () => BigInt(Math.floor(this.now)) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(Math.floor(this.now)) * 1_000_000n),
      monotonicTimeNanosUnsafe: () => BigInt(Math.floor(this.now)) * 1_000_000n,
      monotonicTimeNanos: Effect.sync(() => BigInt(Math.floor(this.now)) * 1_000_000n),
      sleep: (duration) => this.sleep(Duration.toMillis(duration))
    }
    const scheduler = new Scheduler.MixedScheduler("async", (run) => {
      let cancelled = false
      this.later(0, () => {
        if (!cancelled) run()
      })
      return () => {
        cancelled = true
      }
    })
    return Context.make(Clock.Clock, clock).pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(References.MinimumLogLevel, "None")
    ) as Context.Context<never>
  }

  private pop(): void {
    const tasks = this.tasks
    const last = tasks.pop()!
    if (tasks.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= tasks.length) break
      if (child + 1 < tasks.length && before(tasks[child + 1]!, tasks[child]!)) child++
      if (!before(tasks[child]!, last)) break
      tasks[i] = tasks[child]!
      i = child
    }
    tasks[i] = last
  }
}

const before = (a: Task, b: Task): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
