/** The configuration cannot be used: every problem with its place and key. Exit code 3. */
import * as Schema from "effect/Schema"
import type { Problem } from "./Collect.ts"

export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  /** Lines, as `formatProblem` makes them. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    const count = this.problems.length === 1 ? "1 problem" : `${this.problems.length} problems`
    return `Cannot use the configuration: ${count}.\n\n${this.problems.map((line) => `  ${line}`).join("\n")}\n\n`
      + "  Every key, its unit and its default:   docs/configuration.md\n\nNothing was changed.  ConfigInvalid"
  }
}

/** `pg.yaml:7  target.webhooks.x  is no known key; the nearest is …` */
export const formatProblem = (problem: Problem): string =>
  [problem.where, problem.key, problem.message].filter((part) => part !== "").join("  ")
