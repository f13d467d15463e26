/** From what a person wrote, an id or a URL, to the one subscription or endpoint that is meant. */
import * as Effect from "effect/Effect"
import * as Lookup from "../../domain/Lookup.ts"
import type { Endpoint, Subscription } from "../../domain/Subscription.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { EndpointStore } from "../../services/EndpointStore.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { failed, storeFailed } from "./Admin.ts"
import type { CommandFailed } from "./Failure.ts"

/** Of a URL that may hold a password: as it is shown, and as it is. */
const urlNames = (url: string): ReadonlyArray<string> => [WebhookUrl.withoutUserinfo(url), WebhookUrl.describe(url), url]

/** `public.orders`, `public.*`, `*.*` */
export const tableOf = ({ schema, table }: Pick<Subscription, "schema" | "table">): string =>
  `${schema === "" ? "*" : schema}.${table === "" ? "*" : table}`

export const kindsOf = ({ eventTypes }: Pick<Subscription, "eventTypes">): string =>
  eventTypes.length === 0 ? "all" : eventTypes.join(",")

const subscriptionLine = (row: Subscription): string =>
  `${row.id}  ${tableOf(row)}  ${kindsOf(row)}  ${WebhookUrl.withoutUserinfo(row.url)}`
const endpointLine = (endpoint: Endpoint): string => `${endpoint.id}  ${WebhookUrl.withoutUserinfo(endpoint.url)}`

const one = <A>(
  what: string, found: Lookup.Found<A>, lineOf: (item: A) => string, code: string
): Effect.Effect<A, CommandFailed> => {
  if (found._tag === "One") return Effect.succeed(found.item)
  if (found._tag === "Several") {
    const lines = found.items.slice(0, Lookup.MAX_NEAR).map(lineOf)
    const more = found.items.length > lines.length ? [`and ${found.items.length - lines.length} more`] : []
    return Effect.fail(failed(1, `${found.items.length} ${what}s are meant by that; give the id of one`, "Ambiguous", [...lines, ...more]))
  }
  const near = found.near.length === 0 ? ["There is none at all."] : ["Near to it:", ...found.near.map(lineOf)]
  return Effect.fail(failed(1, `There is no such ${what}`, code, near))
}

export const listed = SubscriptionStore.use((store) => store.list).pipe(Effect.mapError(storeFailed))
export const endpoints = EndpointStore.use((store) => store.list).pipe(Effect.mapError(storeFailed))

/** By its id, or by a URL that only one has. */
export const subscription = (text: string, rows: ReadonlyArray<Subscription>) => {
  const named = rows.map((row) => ({ row, id: row.id, names: urlNames(row.url) }))
  const found = Lookup.find(text, named)
  return Effect.map(one("subscription", found, ({ row }) => subscriptionLine(row), "NoSuchSubscription"), ({ row }) => row)
}

/** By its id, its URL, or the id of one of its subscriptions. */
export const endpoint = Effect.fnUntraced(function*(text: string) {
  const [all, rows] = yield* Effect.all([endpoints, listed])
  const bySubscription = Lookup.find(text, rows.map((row) => ({ row, id: row.id, names: [] })))
  const found = Lookup.find(text, all.map((it) => ({ it, id: it.id, names: urlNames(it.url) })))
  if (found._tag === "None" && bySubscription._tag === "One") {
    const its = all.find(({ id }) => id === bySubscription.item.row.endpointId)
    if (its !== undefined) return its
  }
  return (yield* one("endpoint", found, ({ it }) => endpointLine(it), "NoSuchEndpoint")).it
})
