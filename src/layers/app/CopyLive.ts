/**
 * What `snapshot` needs beside the pipeline: how copies are asked for and watched. Whoever follows the slot, this process
 * or another, works on them. A copy that is asked for changes nothing else, so it is safe from any host.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SetupError } from "../../services/Setup.ts"
import * as MigrationsSource from "../postgres/schema/MigrationsSource.ts"
import * as Sql from "../postgres/Sql.ts"
import * as StreamFollowedPg from "../postgres/StreamFollowedPg.ts"
import * as SubscriptionStorePg from "../postgres/store/SubscriptionStorePg.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import { copies, databases } from "./AppLive.ts"

const problem = (there: number): SetupError | undefined => {
  const needed = MigrationsSource.latestVersion
  const cannot = (code: string, seen: string, mend: string) => new SetupError({ code, exitCode: 4, summary: `Cannot copy: ${seen}.`, mend })
  if (there === 0) return cannot("SchemaMissing", "schema pgstream is not there", "pgstream init")
  const seen = `the schema of the source is at migration ${there}, and this program needs ${needed}`
  if (there < needed) return cannot("SchemaOutdated", seen, "pgstream init")
  return there > needed ? cannot("SchemaNewer", seen, "Use the newer pgstream that made it.") : undefined
}

const ready = Layer.effectDiscard(Effect.gen(function*() {
  const found = problem(yield* MigrationsSource.currentVersion(yield* Sql.SourceSql))
  if (found !== undefined) return yield* found
}))

export const copyLayer = (settings: AppSettings) =>
  Layer.mergeAll(copies, StreamFollowedPg.layer).pipe(
    Layer.provideMerge(SubscriptionStorePg.layer),
    Layer.provideMerge(ready),
    Layer.provide(databases(settings))
  )
