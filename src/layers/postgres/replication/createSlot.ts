/** What is asked on a replication connection of its own: who the server is, and a new slot with its snapshot. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Lsn from "../../../domain/Lsn.ts"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"
import { identifier, literal } from "../../../domain/SqlText.ts"
import { type Plugin, SourceError } from "../../../services/ChangeSource.ts"
import { allowPlugin } from "./allowPlugin.ts"
import * as Session from "./Session.ts"
import { fromCause, pooler, ServerError } from "./sourceErrors.ts"

export interface System {
  /** `pg_control_system().system_identifier`, decimal. */
  readonly systemIdentifier: string
  readonly timeline: number
  /** Flushed WAL end (on a standby: replayed). */
  readonly walEnd: Lsn.Lsn
  readonly database: string
}

/** A control connection reads no rows: a message of one mebibyte is more than it ever gets. */
const CONTROL_BODY_BYTES = 1024 * 1024

export const parseTarget = (
  url: Redacted.Redacted<string>
): Effect.Effect<PostgresUrl.ConnectionTarget, SourceError> =>
  Effect.fromResult(PostgresUrl.parse(url)).pipe(
    Effect.mapError(
      (cause) =>
        new SourceError({
          code: "BadUrl",
          permanent: true,
          summary: cause.message,
          mend: "Mend the URL: postgres://user:password@host:5432/database",
          cause
        })
    )
  )

/** A replication connection that streams nothing yet. */
export const openControl = (target: PostgresUrl.ConnectionTarget, replication: boolean) =>
  Session.open(target, {
    replication,
    maxBodyBytes: CONTROL_BODY_BYTES,
    parameters: Session.pinnedParameters
  })

export const identifySession = Effect.fnUntraced(function*(session: Session.Session) {
  const [row] = yield* Session.query(session, "IDENTIFY_SYSTEM").pipe(
    Effect.mapError((cause) =>
      cause instanceof ServerError && cause.fields.code === "42601"
        ? new SourceError({
            ...pooler,
            summary: `Cannot replicate from ${PostgresUrl.describe(session.target)}: whatever answers there does not know IDENTIFY_SYSTEM.`,
            cause
          })
        : fromCause(session.target, cause)
    )
  )
  const walEnd = Lsn.parse(row?.["xlogpos"] ?? "")
  if (row === undefined || Result.isFailure(walEnd)) {
    return yield* new SourceError({
      ...pooler,
      summary: `Cannot replicate from ${PostgresUrl.describe(session.target)}: IDENTIFY_SYSTEM has no answer.`
    })
  }
  const system: System = {
    systemIdentifier: row["systemid"] ?? "",
    timeline: Number(row["timeline"]),
    walEnd: walEnd.success,
    database: row["dbname"] ?? session.target.database
  }
  return system
})

/** Who answers at `url`. Also finds out a pooler, a missing privilege and a wrong password. */
export const identifySystem = (url: Redacted.Redacted<string>): Effect.Effect<System, SourceError> =>
  parseTarget(url).pipe(
    Effect.flatMap((target) => openControl(target, true)),
    Effect.flatMap(identifySession),
    Effect.scoped
  )

const refused =
  (target: PostgresUrl.ConnectionTarget, slotName: string, plugin: Plugin) =>
  (cause: ServerError | SourceError): SourceError => {
    if (!(cause instanceof ServerError)) return cause
    const because = (code: string, mend: string) =>
      new SourceError({
        code,
        permanent: true,
        summary: `Cannot create replication slot ${JSON.stringify(slotName)} in ${PostgresUrl.describe(target)}: ${cause.message}`,
        mend,
        cause
      })
    switch (cause.fields.code) {
      case "42710":
        return because(
          "SlotExists",
          `Use it, or drop it: SELECT pg_drop_replication_slot(${literal(slotName)})`
        )
      case "53400":
        return because(
          "TooManySlots",
          "ALTER SYSTEM SET max_replication_slots = 20, then restart Postgres; or drop a slot that nobody reads (pg_replication_slots)."
        )
      case "42602":
        return because(
          "BadSlotName",
          "A slot's name has lower-case letters, digits and _ only, at most 63."
        )
      case "58P01":
      case "42704":
        return because(
          "PluginMissing",
          plugin === "wal2json"
            ? "Install wal2json on the server, or use --plugin pgoutput."
            : "The server's installation lacks pgoutput."
        )
      case "55000":
        return because("WalLevel", "ALTER SYSTEM SET wal_level = 'logical', then restart Postgres.")
      case "42501":
        return /output plugin/.test(cause.fields.message ?? "")
          ? because(
              "PluginNotAllowed",
              `As an administrator: ALTER SYSTEM SET output_plugin_libraries = 'pgoutput', 'test_decoding', '${plugin}'; SELECT pg_reload_conf();   or use a slot with --plugin pgoutput`
            )
          : fromCause(target, cause)
      default:
        return fromCause(target, cause)
    }
  }

export interface CreatedSlot {
  /** The slot hands out the transactions that commit after this. */
  readonly consistentPoint: Lsn.Lsn
  /** For `SET TRANSACTION SNAPSHOT` in another session, as long as the scope lives: sees exactly what is before. */
  readonly snapshotName: string
}

/**
 * Makes a logical slot. Waits for transactions that were running when it began (the server does); interrupting it
 * cancels the command, and the server takes the slot back. The slot stays when the scope closes; its snapshot ends.
 */
export const createSlot = Effect.fn("createSlot")(function*(
  url: Redacted.Redacted<string>,
  options: { readonly slotName: string; readonly plugin: Plugin }
) {
  const target = yield* parseTarget(url)
  const session = yield* openControl(target, true)
  yield* identifySession(session)
  yield* allowPlugin(session, options.plugin)
  const sql = `CREATE_REPLICATION_SLOT ${identifier(options.slotName)} LOGICAL ${options.plugin} EXPORT_SNAPSHOT`
  const [row] = yield* Session.query(session, sql).pipe(
    Effect.onInterrupt(() => Effect.promise(() => session.cancel())),
    Effect.mapError(refused(target, options.slotName, options.plugin))
  )
  const consistentPoint = Lsn.parse(row?.["consistent_point"] ?? "")
  const snapshotName = row?.["snapshot_name"]
  if (Result.isFailure(consistentPoint) || typeof snapshotName !== "string") {
    return yield* new SourceError({
      ...pooler,
      summary: `Cannot create a slot in ${PostgresUrl.describe(target)}: the answer has no position.`
    })
  }
  const created: CreatedSlot = { consistentPoint: consistentPoint.success, snapshotName }
  return created
})
