/** The program, with a fail point: `TEST_FAIL_POINT` and `TEST_FAIL_COUNT`, at the how manieth time it kills itself. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { program, report } from "../../src/layers/cli/Program.ts"
import { FailPoints } from "../../src/services/FailPoints.ts"

const failPoint = process.env["TEST_FAIL_POINT"]
let left = Number(process.env["TEST_FAIL_COUNT"])

const fiber = Effect.runFork(program(process.argv.slice(2)).pipe(
  Effect.provideService(FailPoints, {
    hit: (name) => {
      if (name === failPoint && --left === 0) process.kill(process.pid, "SIGKILL")
    }
  })
))
process.on("SIGTERM", () => void Effect.runFork(Fiber.interrupt(fiber)))
fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? exit.value : report(exit.cause)))
