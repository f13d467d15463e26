/** Deliveries, commands and numbers as API and CLI show them. Who may only read sees no value of a row. */
import type { TokenScope } from "../domain/ApiToken.ts"
import * as DeliverySelector from "../domain/DeliverySelector.ts"
import * as Ranges from "../domain/Ranges.ts"
import * as VerifyNumbers from "../domain/Verify.ts"
import * as ApiViews from "./ApiViews.ts"
import type { Blocking, DeliveryCounts, DeliveryPage, ListedDelivery, ShownDelivery } from "./DeliveryAdmin.ts"
import type { CommandView } from "./DeliveryCommands.ts"
import type { KnownEndpoint } from "./Verify.ts"

/** Ranges of an account that are named in an answer. */
export const MAX_RANGES = 1_000

const at = (ms: number): string => new Date(ms).toISOString()
const atOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : at(ms))

export const delivery = (it: ListedDelivery) => ({
  endpoint_id: it.endpointId, id: it.id, state: it.state, sequence: it.sequence === 0 ? null : it.sequence, epoch: it.epoch,
  table: it.table, kind: it.kind, attempts: it.attempts, at: at(it.atMs), committed_at: atOrNull(DeliverySelector.committedAtMs(it.id)),
  due_at: atOrNull(it.dueAtMs), last_error: it.lastError ?? null, took_ms: it.tookMs ?? null
})

export const page = ({ deliveries, next }: DeliveryPage) => ({ deliveries: deliveries.map(delivery), next: next ?? null })

export const blocking = ({ blocking: found, partly }: Blocking) => ({
  blocking: found.map(({ behind, delivery: it, kind }) => ({ ...delivery(it), blocks: kind === "row" ? "a key" : "a table", behind })),
  partly: Array.from(partly, ([endpointId, count]) => ({ endpoint_id: endpointId, looked_at: count }))
})

export const counts = (all: ReadonlyArray<DeliveryCounts>) => ({
  endpoints: all.map(({ behind, dead, endpointId, oldestMs, waiting }) =>
    ({ endpoint_id: endpointId, waiting, behind, dead, oldest_at: atOrNull(oldestMs) }))
})

/** A body that is no text in UTF-8 (a frame that could not be decoded) is shown in base64. */
const bodyText = (body: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body)
  } catch {
    return `base64:${Buffer.from(body).toString("base64")}`
  }
}

export const shown = ({ attempts, body, facts }: ShownDelivery, scope: TokenScope, withBody: boolean) => ({
  ...delivery(facts),
  tries: attempts.map(({ answerStart, atMs, attempt, reason, status, tookMs }) => ({
    attempt, at: at(atMs), took_ms: Math.round(tookMs), status: status ?? null, reason: reason === "" ? null : reason,
    ...(scope === "manage" ? { answer_start: answerStart ?? null } : {})
  })),
  ...(withBody ? { body: body === undefined ? null : bodyText(body) } : {})
})

export const command = (it: CommandView) => ({
  id: it.id, kind: it.kind, selection: it.described, to_host: it.targetHost === "" ? null : it.targetHost, rate: it.rate ?? null, state: it.state,
  done: it.done, skipped: it.skipped, note: it.note === "" ? null : it.note, by: it.by, ordered_at: at(it.orderedAtMs),
  ended_at: atOrNull(it.endedAtMs)
})

const account = (ranges: Ranges.Ranges) => ({
  count: Ranges.size(ranges), ranges: ranges.slice(0, MAX_RANGES).map(({ first, last }) => ({ first, last })),
  more_ranges: Math.max(0, ranges.length - MAX_RANGES)
})

export const numbers = (known: KnownEndpoint, scope: TokenScope) => {
  const { accounts, delivered, given } = VerifyNumbers.balance(known)
  return {
    endpoint_id: known.endpointId, url: known.url === "" ? "" : ApiViews.url(known.url, scope), epoch: known.epoch, given,
    delivered: account(delivered), waiting: account(accounts.waiting), dead: account(accounts.dead), suspended: account(accounts.suspended),
    withdrawn: account(accounts.withdrawn), purged: account(accounts.purged), earlier_epochs: known.earlier
  }
}

export const comparison = (found: VerifyNumbers.Comparison) => ({
  missing: account(found.missing), unproven: account(found.unproven), missing_ids: found.missingIds, fewer: found.fewer, twice: account(found.twice), twice_ids: found.twiceIds,
  not_settled_yet: account(found.unsettled), received_anyway: account(found.anyway), exact: found.exact
})
