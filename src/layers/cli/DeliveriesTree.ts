/** `pgstream deliveries …`: commands and flags. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { MAX_PAGE } from "../../services/DeliveryAdmin.ts"
import { shared } from "./AdminFlags.ts"

const reading = Effect.promise(() => import("./Deliveries.ts"))
const ordering = Effect.promise(() => import("./DeliveriesOrder.ts"))

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.optional, Flag.withDescription(description))
const on = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription(description))

const endpoint = text("endpoint", "ID|URL", "Of this endpoint")
const selecting = {
  endpoint,
  id: Flag.String("id").pipe(Flag.withMetavar("ID"), Flag.atLeast(0), Flag.withDescription("With this webhook-id; may be repeated")),
  table: text("table", "SCHEMA.TABLE", "Of this table"),
  key: text("key", "COLUMN=VALUE", "With this key: id=42, or a=1,b=2"),
  since: text("since", "TIME", "Committed at or after 2026-11-24T12:00:00Z, or within 2h"),
  until: text("until", "TIME", "Committed before it")
}

const list = Command.make("list", {
  ...shared, ...selecting,
  state: Flag.Literals("state", ["waiting", "dead", "delivered", "failed"]).pipe(
    Flag.optional, Flag.withDescription("waiting, dead: what is stored (default: both); delivered, failed: tries of the log")
  ),
  blocking: on("blocking", "What holds others up, and how many wait behind each"),
  counts: on("counts", "How much of each endpoint waits, and is dead"),
  oldest: on("oldest", "Oldest first, in place of newest first"),
  limit: Flag.Int("limit").pipe(Flag.withDefault(100), Flag.withDescription(`On a page, 1 to ${MAX_PAGE} (default 100)`)),
  cursor: text("cursor", "CURSOR", "The next page, as the one before names it")
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* reading).list(flags)
})).pipe(
  Command.withDescription("Lists deliveries that wait or are dead, or tries of the log. No values of rows."),
  Command.withExamples([
    { command: "pgstream deliveries list --state dead --table public.users", description: "Dead ones of a table" },
    { command: "pgstream deliveries list --blocking", description: "What holds others up" }
  ])
)

const show = Command.make("show", {
  ...shared, endpoint,
  id: Argument.String("id").pipe(Argument.withDescription("webhook-id")),
  body: on("body", "Its body, too: values of the row. An audit line says so")
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* reading).show(flags)
})).pipe(Command.withDescription("Shows a delivery, with what was tried and what was answered."))

const meant = {
  ...shared, ...selecting,
  state: Flag.Literals("state", ["waiting", "dead"]).pipe(Flag.optional, Flag.withDescription("Only those")),
  all: on("all", "Everything is meant"),
  wait: Flag.Boolean("wait").pipe(Flag.withDefault(true), Flag.withDescription("Follow it to its end (default); --no-wait: only order it"))
}
const rate = text("rate", "N/s", "Deliveries a second")

const retry = Command.make("retry", { ...meant, rate }, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).retry(flags)
})).pipe(
  Command.withDescription("Tries again now: dead ones wait again, waiting ones are due. In order, under the same ids."),
  Command.withExamples([{ command: "pgstream deliveries retry --state dead", description: "All dead ones" }])
)

const replay = Command.make("replay", {
  ...meant, rate, to: text("to", "URL", "Send there, without a word to the state of the originals")
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).replay(flags)
})).pipe(
  Command.withDescription("Sends again, under the same ids: to the endpoint, or to another URL. Delivered ones only where the log keeps bodies."),
  Command.withExamples([
    { command: "pgstream deliveries replay --key id=42 --table public.users", description: "One row's" },
    { command: "pgstream deliveries replay --state dead --to http://localhost:9911/look --rate 10/s", description: "Elsewhere" }
  ])
)

const purge = Command.make("purge", meant, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).purge(flags)
})).pipe(
  Command.withDescription("Erases what is stored of deliveries: rows, segments, bodies and answers of the log. They are never sent."),
  Command.withExamples([{ command: "pgstream deliveries purge --key id=42 --table public.users", description: "For an erasure request" }])
)

const number = Argument.Int("number").pipe(Argument.withDescription("Of the command"))
const command = Command.make("command", { ...shared, number }, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).command(flags)
})).pipe(Command.withDescription("How far a retry, replay or purge is."))
const cancel = Command.make("cancel", { ...shared, number }, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).cancel(flags)
})).pipe(Command.withDescription("Stops one where it is; what was done stays done."))
const commands = Command.make("commands", shared, Effect.fnUntraced(function*(flags) {
  yield* (yield* ordering).commands(flags)
})).pipe(Command.withDescription("The newest 100 retries, replays and purges."))

export const deliveries = Command.make("deliveries").pipe(
  Command.withDescription("Deliveries that wait or are dead, and what was tried: list, show, retry, replay, purge."),
  Command.withSubcommands([list, show, retry, replay, purge, commands, command, cancel])
)

export const verify = Command.make("verify", {
  ...shared, endpoint,
  received: text("received", "FILE", "The receiver's list: a number, an id, `epoch number` or JSON a line; - is stdin")
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* Effect.promise(() => import("./Verify.ts"))).run(flags)
})).pipe(
  Command.withDescription("Where each number (webhook-sequence) is that was given; with the receiver's list, what it lacks. Exit code 1 if something is missing."),
  Command.withExamples([{ command: "pgstream verify --endpoint http://localhost:9910/webhook --received received.jsonl", description: "Against the receiver's own list" }])
)
