/**
 * Entry of the binary: exit codes and signals. What answers at once is answered here; the rest is loaded on demand.
 *
 * - Exit codes: 0 ok · 1 failed, or `status` with findings · 2 usage · 3 configuration · 4 precondition.
 * - The first SIGINT or SIGTERM stops gracefully (`run` then exits 0, other commands 130 or 143); a second one ends
 *   the process at once.
 */
import { version } from "./version.ts"

const args = process.argv.slice(2)

// A reader that left (`| head`) is no fault: what is written then goes nowhere.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)

const stopped = { SIGINT: 130, SIGTERM: 143 } as const

/** For what was printed to leave after a signal, ms. */
const LEAVE_MS = 1_000

/** What was printed leaves before: a pipe takes it piece by piece, and `| less` its time. */
const end = (code: number, bounded = false): void => {
  if (bounded) setTimeout(() => process.exit(code), LEAVE_MS)
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
}

const main = async () => {
  const [Cause, Effect, Exit, Fiber, program] = await Promise.all([
    import("effect/Cause"), import("effect/Effect"), import("effect/Exit"), import("effect/Fiber"), import("./layers/cli/Program.ts")
  ])
  const fiber = Effect.runFork(program.program(args))
  // A fiber that waits for another process holds no handle of its own.
  const keepAlive = setInterval(() => undefined, 2 ** 31 - 1)
  let signal: keyof typeof stopped | undefined
  const onSignal = (received: NodeJS.Signals) => {
    if (received !== "SIGINT" && received !== "SIGTERM") return
    if (signal !== undefined) process.exit(stopped[received])
    signal = received
    Effect.runFork(Fiber.interrupt(fiber))
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    if (Exit.isSuccess(exit)) return end(exit.value, signal !== undefined)
    if (signal !== undefined && Cause.hasInterruptsOnly(exit.cause)) {
      return end(program.runsUntilStopped(args) ? 0 : stopped[signal], true)
    }
    end(program.report(exit.cause), signal !== undefined)
  })
}

if (args.length === 1 && ["--version", "-v", "version"].includes(args[0] ?? "")) {
  process.stdout.write(`pgstream version ${version}\n`)
} else {
  await main()
}
