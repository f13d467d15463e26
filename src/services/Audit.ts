/**
 * One line for each thing that an operator or a token did which decides where data goes, or shows some of it: who, what,
 * to which host. Never a path, a query, userinfo, a secret or a value of a row.
 *
 * By itself it is a log line of level info with the annotation `audit`; another implementation may write it elsewhere.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { ApiCaller } from "./ApiCaller.ts"

export type AuditAction =
  | "subscribe" | "unsubscribe" | "subscription.update" | "endpoint.update" | "endpoint.rotate-secret" | "endpoint.test"
  | "deliveries.retry" | "deliveries.replay" | "deliveries.purge" | "deliveries.show-body" | "token.add" | "token.remove"
  | "snapshot.request" | "snapshot.change"

export interface AuditEntry {
  readonly action: AuditAction
  /** Where data goes by it. Only its host and port are kept. */
  readonly url?: string | undefined
  /** Flat, short, no values of rows: ids, names of fields, counts. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** Host and port, `""` of what is no URL. */
export const hostOf = (url: string): string => {
  const parsed = URL.parse(url)
  return parsed === null || !/^https?:$/.test(parsed.protocol) ? "" : parsed.host
}

/** The fields of a line, in its order: for a log as annotations, for a file as JSON. */
export const fields = (entry: AuditEntry, who: string): Readonly<Record<string, string | number | boolean>> => ({
  audit: entry.action,
  who,
  ...(entry.url === undefined ? {} : { host: hostOf(entry.url) }),
  ...entry.details
})

/** Replaces the writing alone: `who` is known by then. */
export const AuditLog = Context.Reference<{
  write(line: Readonly<Record<string, string | number | boolean>>): Effect.Effect<void>
}>("pgstream/services/AuditLog", {
  defaultValue: () => ({ write: (line) => Effect.annotateLogs(Effect.logInfo("Audit."), line) })
})

/** Called when it was done, or is about to be shown. */
export const record = Effect.fnUntraced(function*(entry: AuditEntry) {
  const { name } = yield* ApiCaller
  const { write } = yield* AuditLog
  yield* write(fields(entry, name))
})
