/** Why the demo cannot run, and what to do. */
import * as Schema from "effect/Schema"

export class DemoError extends Schema.TaggedError<DemoError>()("DemoError", {
  code: Schema.String,
  exitCode: Schema.Literals([1, 4]),
  summary: Schema.String,
  mend: Schema.String
}) {
  override get message() {
    return `${this.summary}\n\n  ${this.mend}\n\nNothing was changed.  ${this.code}`
  }
}
