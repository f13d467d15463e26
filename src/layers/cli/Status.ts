/** `pgstream status` */
import * as Effect from "effect/Effect"
import { Setup, type StatusReport } from "../../services/Setup.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { type Connection, type Output, sourceFlags } from "./Admin.ts"
import { CommandFailed } from "./Failure.ts"
import { configure, print, say } from "./Globals.ts"
import * as Logging from "./Logging.ts"
import * as StatusCopies from "./StatusCopies.ts"
import { headline, json, text } from "./StatusText.ts"

/** Nothing is known; without a usable URL there is nothing to ask. */
const unknown: StatusReport = {
  schemaExists: false, schemaLogExists: false, migrationVersion: 0, migrationDirty: false, slotName: "", slotPlugin: "",
  slotDatabase: "", reachable: false, notes: [], findings: []
}

/** A source that cannot be asked is a finding, not an error. */
const unreachable = (error: unknown): StatusReport => ({
  ...unknown,
  findings: [{ area: "source", code: "SourceUnreachable", summary: Logging.describeError(error), mend: "Start Postgres, or correct the URL." }]
})

const ask = (settings: AppSettings) =>
  Effect.gen(function*() {
    const { setupLayer } = yield* Effect.promise(() => import("../app/AppLive.ts"))
    return yield* Setup.use((setup) => setup.status).pipe(
      Effect.provide(setupLayer(settings)), Effect.catch((error) => Effect.succeed(unreachable(error)))
    )
  })

export const run = Effect.fn("cli.status.run")(function*(flags: Connection & Output) {
  const loaded = yield* configure(sourceFlags(flags), { needTarget: false })
  const { settings } = loaded
  const asked = settings === undefined ? unknown : yield* ask(settings).pipe(Effect.provide(Logging.layer(settings.log)))
  const targetMissing = loaded.file !== undefined && settings?.targetConfigured === false
    ? ["need at least one processor configured: set PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL (target.webhooks.subscriptions.store.url)"]
    : []
  const config = [...loaded.problems, ...targetMissing].map((summary) => ({
    area: "config" as const, code: "ConfigInvalid", summary, mend: "Correct it; every key is in docs/configuration.md."
  }))
  const report: StatusReport = { ...asked, findings: [...asked.findings, ...config] }
  const copies = settings === undefined || !asked.schemaExists ? [] : yield* StatusCopies.openCopies(settings)
  yield* say(headline(report))
  for (const note of report.notes) yield* say(`NOTE  ${note}`)
  yield* print(flags.json ? json(report, StatusCopies.json(copies)) : text(report) + StatusCopies.text(copies))
  if (report.findings.length > 0) {
    return yield* new CommandFailed({ exitCode: config.length > 0 ? 3 : 1, text: "" })
  }
})
