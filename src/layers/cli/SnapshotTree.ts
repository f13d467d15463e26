/** `pgstream snapshot …`: commands and flags. The work is one dynamic import away. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { shared } from "./AdminFlags.ts"

const ask = Effect.promise(() => import("./Snapshot.ts"))
const steer = Effect.promise(() => import("./SnapshotSteer.ts"))

const id = Argument.String("id").pipe(Argument.withDescription("Number of the copy: pgstream snapshot list"))

const list = Command.make("list", shared, Effect.fnUntraced(function*(flags) {
  yield* (yield* steer).list(flags)
})).pipe(Command.withDescription("Lists all copies, newest first."))

const show = Command.make("show", { ...shared, id }, Effect.fnUntraced(function*(flags) {
  yield* (yield* steer).show(flags)
})).pipe(Command.withDescription("Says how far a copy is, table by table."))

const watch = Command.make("watch", { ...shared, id }, Effect.fnUntraced(function*(flags) {
  yield* (yield* ask).watch(flags)
})).pipe(Command.withDescription("Watches a copy until it is over. Exit code 1: a table could not be copied."))

const change = (name: "pause" | "resume" | "cancel", description: string) =>
  Command.make(name, { ...shared, id }, Effect.fnUntraced(function*(flags) {
    yield* (yield* steer).change(name, flags)
  })).pipe(Command.withDescription(description))

const hidden = {
  target: Flag.String("target").pipe(Flag.optional, Flag.withHidden),
  "target-url": Flag.String("target-url").pipe(Flag.optional, Flag.withHidden),
  reset: Flag.Boolean("reset").pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withHidden),
  "dump-file": Flag.String("dump-file").pipe(Flag.optional, Flag.withHidden),
  profile: Flag.Boolean("profile").pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withHidden)
}

const askFlags = {
  ...shared,
  tables: Flag.String("tables").pipe(
    Flag.withMetavar("A,B"), Flag.optional, Flag.withDescription("Tables: orders, sales.*, *.*, a*, '\"My Table\"'; default: those of the configuration")
  ),
  excludedTables: Flag.String("excluded-tables").pipe(
    Flag.withMetavar("A,B"), Flag.optional, Flag.withDescription("Tables to leave out, as above")
  ),
  mode: Flag.Literals("mode", ["full", "data", "schema"]).pipe(
    Flag.optional, Flag.withDescription("full: schema entries and rows (default); data: rows; schema: entries")
  ),
  subscription: Flag.String("subscription").pipe(
    Flag.withMetavar("ID"), Flag.optional, Flag.withDescription("For this subscription alone; without --tables all that it selects")
  ),
  where: Flag.String("where").pipe(
    Flag.withMetavar("SQL"), Flag.optional, Flag.withDescription("Only rows for which this SQL expression is true; it is run with the rights of pgstream's role")
  ),
  noWait: Flag.Boolean("no-wait").pipe(
    Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Leave it to the service that runs, and do not watch it")
  ),
  ...hidden
}

/** `refuse`: says which of the flags of the system before are not there. */
export const snapshot = <E, R>(refuse: (given: Readonly<Record<string, unknown>>) => Effect.Effect<void, E, R>) =>
  Command.make("snapshot", askFlags, Effect.fnUntraced(function*(flags) {
    yield* refuse(flags)
    yield* (yield* ask).snapshot(flags)
  })).pipe(
    Command.withDescription("Sends the rows that are there already, while the stream runs. Exit code 1: a table could not be copied."),
    Command.withExamples([
      { command: "pgstream snapshot -c pg.env --tables 'orders,sales.*'", description: "For all that take inserts of these tables" },
      { command: "pgstream snapshot -c pg.env --subscription ID --tables orders --where \"id > 1000\"", description: "For one subscription" },
      { command: "pgstream snapshot pause 7 -c pg.env", description: "Read nothing more of it until it is resumed" }
    ]),
    Command.withSubcommands([
      list, show, watch,
      change("pause", "Reads nothing more of a copy until it is resumed."),
      change("resume", "Goes on with a copy that was paused."),
      change("cancel", "Ends a copy. What was sent stays sent.")
    ])
  )
