/** `pgstream start`: what is configured, else the demo. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Config, say, print } from "./Globals.ts"
import * as Logging from "./Logging.ts"
import { run, type Flags } from "./Run.ts"

/** Variables that configure a run; the demo's own, the tests', and those that Kubernetes makes do not. */
const configuredBy = (name: string): boolean =>
  name.startsWith("PGSTREAM_") && !/^PGSTREAM_(?:TEST_|DEMO_|LOG_|SERVICE_|PORT(?:_|$))/.test(name)

export const start = Effect.fn("cli.start")(function*(flags: Flags) {
  const file = yield* Config
  const configured = Option.isSome(file) || Option.isSome(flags.postgresUrl) || Option.isSome(flags.sourceUrl)
    || Object.entries(process.env).some(([name, value]) => configuredBy(name) && value !== "")
  if (configured) return yield* run(flags)
  const { demo } = yield* Effect.promise(() => import("../app/Demo.ts"))
  yield* demo({ say, print }).pipe(Effect.provide(Logging.layer({ level: "warn", format: "console", noColor: false })))
})
