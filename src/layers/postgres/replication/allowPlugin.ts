/**
 * Since the minor releases of August 2026 a server loads only the output plugins that `output_plugin_libraries`
 * names. A superuser may name one for the session; anybody else needs the administrator.
 */
import * as Effect from "effect/Effect"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import { literal } from "../../../domain/SqlText.ts"
import { type Plugin, SourceError } from "../../../services/ChangeSource.ts"
import * as Session from "./Session.ts"
import { fromCause, ServerError } from "./sourceErrors.ts"

/** Libraries of the setting: a list of names, each maybe in double quotes. */
const names = (setting: string): ReadonlyArray<string> =>
  setting.split(",").map((name) => name.trim().replace(/^"(.*)"$/, "$1"))

/** Only members of pg_read_all_settings may read it; for others the server says whether it loads the plugin. */
const READ =
  "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'member') THEN current_setting('output_plugin_libraries', true) END AS libraries"

/** `list`: what the setting must say, quoted. */
export const pluginNotAllowed = (
  target: PostgresUrl.ConnectionTarget,
  plugin: Plugin,
  list: string,
  cause: ServerError
): SourceError =>
  new SourceError({
    code: "PluginNotAllowed",
    permanent: true,
    summary: `Cannot use ${plugin} in ${PostgresUrl.describe(target)}: the server's output_plugin_libraries does not name it.`,
    mend: `As an administrator: ALTER SYSTEM SET output_plugin_libraries = ${list}; SELECT pg_reload_conf();   or use a slot with --plugin pgoutput`,
    cause
  })

/** Succeeds with what it had to set in `session`, which any other session that loads the plugin must set, too. */
export const allowPlugin = Effect.fnUntraced(function*(session: Session.Session, plugin: Plugin) {
  if (plugin === "pgoutput") return undefined
  const fail = (cause: ServerError | SourceError) => fromCause(session.target, cause)
  const [row] = yield* Session.query(session, READ).pipe(Effect.mapError(fail))
  const libraries = row?.["libraries"] ?? null
  if (libraries === null || names(libraries).includes(plugin)) return undefined
  const list = [...names(libraries).filter((name) => name !== ""), plugin]
    .map(literal)
    .join(", ")
  const set = `SET output_plugin_libraries = ${list}`
  yield* Session.query(session, set).pipe(
    Effect.mapError((cause) =>
      cause instanceof ServerError && cause.fields.code === "42501"
        ? pluginNotAllowed(session.target, plugin, list, cause)
        : fail(cause)
    )
  )
  return set
})
