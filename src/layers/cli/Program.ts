/** One command line as an Effect of an exit code, and what its failure means. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { version } from "../../version.ts"
import { decide, type ExitCode } from "./Failure.ts"
import { describeError } from "./Logging.ts"
import { print, say } from "./Globals.ts"
import { root } from "./Tree.ts"

const colours = process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""
const formatter = CliOutput.defaultFormatter({ colors: colours })

/** Help is a result; what is wrong with a command line is not. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag === "Help") return print(formatter.formatHelpDoc(event.helpDoc))
    if (event._tag === "Version") return print(`pgstream version ${event.version}`)
    const problems = event.errors.map((error) => `  ${error.message}`).join("\n")
    const path = event.commandPath.join(" ")
    return say(`Cannot read the command line.\n\n${problems}\n\n  What there is:   ${path} --help\n\nNothing was changed.  Usage`)
  }
}

const layer = Layer.mergeAll(
  NodeServices.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] }),
  CliOutput.layerPresenter(presenter),
  CliOutput.layer(formatter)
)

/** `help x` is `x --help`; no command at all is help, too. */
const rewritten = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (args.length === 0) return ["--help"]
  return args[0] === "help" ? [...args.slice(1), "--help"] : args
}

/** Succeeds with 0, or fails as `report` explains. */
export const program = (args: ReadonlyArray<string>): Effect.Effect<number, unknown> =>
  Command.runWith(root, { version, renderErrors: true })(rewritten(args)).pipe(Effect.as(0), Effect.provide(layer))

/** A command that a signal ends as it should: exit code 0. */
export const runsUntilStopped = (args: ReadonlyArray<string>): boolean =>
  args.some((arg) => arg === "run" || arg === "start")

/** Says on stderr what went wrong; answers with the exit code. */
export const report = (cause: Cause.Cause<unknown>): ExitCode => {
  const error = Cause.squash(cause)
  const decided = decide(error)
  if (decided === undefined) {
    // A defect: a bug of ours. The stack says where, and holds no value of a row.
    const stack = error instanceof Error ? (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)).slice(0, 12).join("\n") : ""
    process.stderr.write(`pgstream ended by a fault of its own: ${describeError(error)}\n${stack}\n\nTell us, with these lines.  Defect\n`)
    return 1
  }
  if (decided.text !== "") process.stderr.write(`${decided.text}\n`)
  return decided.exitCode
}
