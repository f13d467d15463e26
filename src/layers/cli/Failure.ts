/** Errors of the command line, and what any error means for the person: a text and an exit code. */
import * as Schema from "effect/Schema"

/** 1 failed, or `status` with findings · 2 usage · 3 configuration · 4 precondition of the environment. */
export type ExitCode = 1 | 2 | 3 | 4

/** The command was understood and said no; `message` is the whole text, empty when everything is said already. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  exitCode: Schema.Literals([1, 2, 3, 4]),
  text: Schema.String
}) {
  override get message() {
    return this.text
  }
}

/** A command or flag of the system that we replace, which is not there yet. */
export const notThereYet = (what: string, why: string): CommandFailed =>
  new CommandFailed({ exitCode: 2, text: `\`${what}\` is known and not there yet: ${why}\n\nNothing was changed.  NotThereYet` })

interface Decided {
  readonly exitCode: ExitCode
  readonly text: string
}

const isExitCode = (value: unknown): value is ExitCode => value === 1 || value === 2 || value === 3 || value === 4

/** `undefined`: nothing that was foreseen, a defect. */
export const decide = (error: unknown): Decided | undefined => {
  if (!(error instanceof Error)) return undefined
  const tag = "_tag" in error ? String(error._tag) : undefined
  if (tag === undefined) return undefined
  if (tag === "ShowHelp") return { exitCode: 2, text: "" }
  if (tag === "ConfigurationError") return { exitCode: 3, text: error.message }
  if ("exitCode" in error && isExitCode(error.exitCode)) return { exitCode: error.exitCode, text: error.message }
  const source = "reason" in error && error.reason instanceof Error ? error.reason : error
  const permanent = "permanent" in source && source.permanent === true
  return { exitCode: permanent ? 4 : 1, text: error.message === "" ? tag : error.message }
}
