/** `pgstream subscriptions …`: commands and flags. The work is one dynamic import away. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { endpointName, shared, subscriptionName } from "./AdminFlags.ts"

const rows = Effect.promise(() => import("./Subscriptions.ts"))
const endpoints = Effect.promise(() => import("./SubscriptionsEndpoint.ts"))

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.optional, Flag.withDescription(description))

/** Of the endpoint; what is not given stays. */
const sending = {
  order: Flag.Literals("order", ["key", "total", "none"]).pipe(Flag.optional, Flag.withDescription("What waits for what (default key)")),
  concurrency: text("concurrency", "N", "Requests at once; default: the setting of the service"),
  rate: text("rate", "N/s", "Requests started a second at most; none: no limit"),
  batch: text("batch", "N/TIME", "Several events in one request, such as 100/50ms; none: one a request"),
  gzip: Flag.Boolean("gzip").pipe(Flag.optional, Flag.withDescription("Bodies are sent compressed; --no-gzip: as they are"))
}

const list = Command.make("list", shared, Effect.fnUntraced(function*(flags) {
  yield* (yield* rows).list(flags)
})).pipe(
  Command.withDescription("Lists all subscriptions, oldest first, with the state of their endpoints."),
  Command.withExamples([{ command: "pgstream subscriptions list -c pg.env --json", description: "For a program" }])
)

const add = Command.make("add", {
  ...shared,
  url: Argument.String("url").pipe(Argument.withDescription("Where events are sent: http or https")),
  schema: Flag.String("schema").pipe(Flag.withDefault(""), Flag.withDescription("Exact name; without it, every schema")),
  table: Flag.String("table").pipe(Flag.withDefault(""), Flag.withDescription("Exact name; without it, every table")),
  eventTypes: Flag.String("event-types").pipe(
    Flag.withMetavar("I,U,D,T,M"), Flag.withDefault("all"), Flag.withDescription("Kinds, with commas between; all: every one but M")
  ),
  ...sending
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* rows).add(flags)
})).pipe(
  Command.withDescription("Subscribes a webhook, or replaces the event types of the one with that URL, schema and table."),
  Command.withExamples([
    { command: "pgstream subscriptions add https://example.com/hook --schema public --table orders", description: "One table" },
    { command: "pgstream subscriptions add https://example.com/hook --order total --rate 50/s", description: "In order, and not too fast" }
  ])
)

const update = Command.make("update", {
  ...shared,
  name: subscriptionName,
  eventTypes: text("event-types", "I,U,D,T,M", "Kinds, with commas between, or all"),
  ...sending
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* rows).update(flags)
})).pipe(Command.withDescription("Changes the event types of a subscription, or how its endpoint is sent to."))

const remove = Command.make("remove", {
  ...shared,
  name: subscriptionName,
  all: Flag.Boolean("all").pipe(
    Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Every subscription of that URL")
  )
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* rows).remove(flags)
})).pipe(Command.withDescription("Removes a subscription, and says what goes with it."))

const endpointFlags = { ...shared, name: endpointName }

const pause = Command.make("pause", endpointFlags, Effect.fnUntraced(function*(flags) {
  yield* (yield* endpoints).pause(flags)
})).pipe(Command.withDescription("Keeps the events of an endpoint, and sends none."))

const resume = Command.make("resume", endpointFlags, Effect.fnUntraced(function*(flags) {
  yield* (yield* endpoints).resume(flags)
})).pipe(Command.withDescription("Sends to an endpoint again that is paused, disabled or suspended."))

const rotateSecret = Command.make("rotate-secret", {
  ...endpointFlags,
  overlap: Flag.String("overlap").pipe(
    Flag.withMetavar("LIFETIME"), Flag.optional, Flag.withDescription("How long the secret before counts, too (default 1d; 0: it ends now)")
  ),
  secretFile: Flag.String("secret-file").pipe(
    Flag.withMetavar("FILE"), Flag.optional, Flag.withDescription("Holds the secret (whsec_…); without it one is made and printed once")
  )
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* endpoints).rotateSecret(flags)
})).pipe(Command.withDescription("Signs the requests to an endpoint with a new secret."))

const test = Command.make("test", endpointFlags, Effect.fnUntraced(function*(flags) {
  yield* (yield* endpoints).test(flags)
})).pipe(Command.withDescription("Sends one signed test event, and says what came back. Exit code 1 if it was not accepted."))

export const subscriptions = Command.make("subscriptions").pipe(
  Command.withDescription("Lists, makes and changes subscriptions of webhooks. Works with no service running, too."),
  Command.withSubcommands([list, add, update, pause, resume, rotateSecret, test, remove])
)
