/**
 * Commands and flags. Each command's work is one dynamic import away, so that help and usage errors are quick.
 * Flags of the system that we replace which are not there yet are hidden, and say so when they are used.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { notThereYet } from "./Failure.ts"
import { globalFlags } from "./Globals.ts"
import { snapshot } from "./SnapshotTree.ts"
import { deliveries, verify } from "./DeliveriesTree.ts"
import { subscriptions } from "./SubscriptionsTree.ts"
import { tokens } from "./TokensTree.ts"

const postgresUrl = Flag.String("postgres-url").pipe(
  Flag.withMetavar("URL"), Flag.optional, Flag.withDescription("Source database (PGSTREAM_POSTGRES_LISTENER_URL)")
)
const replicationSlot = Flag.String("replication-slot").pipe(
  Flag.withMetavar("NAME"), Flag.optional, Flag.withDescription("Replication slot (default pgstream_<database>_slot)")
)
const json = Flag.Boolean("json").pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Print JSON"))
const plugin = Flag.Literals("plugin", ["pgoutput", "wal2json"]).pipe(
  Flag.optional, Flag.withDescription("Output plugin of a new slot (default pgoutput)")
)
const adopt = Flag.Boolean("adopt").pipe(
  Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Take over endpoints that belong to another or a lost stream")
)
const keepIdentities = Flag.Boolean("keep-identities").pipe(
  Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Leave REPLICA IDENTITY of the tables as it is")
)
const printSql = Flag.Boolean("print-sql").pipe(
  Flag.withoutNegation, Flag.withDefault(false),
  Flag.withDescription("Print what an administrator must run for this role, and change nothing")
)
const migrationsOnly = Flag.Boolean("migrations-only").pipe(
  Flag.withoutNegation, Flag.withDefault(false),
  Flag.withDescription("Make the schema alone, for pgstream snapshot without a slot")
)
const wait = Flag.String("wait").pipe(
  Flag.withMetavar("DURATION"), Flag.withDefault("5m"),
  Flag.withDescription("How long to wait for older transactions (default 5m)")
)

const hiddenSwitch = (name: string) => Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withHidden)
const hiddenText = (name: string) => Flag.String(name).pipe(Flag.optional, Flag.withHidden)

const why: Readonly<Record<string, string>> = {
  "migrations-only": "destroy removes schema, publication and slot together.",
  "slot-only": "init makes, and destroy removes, schema, publication and slot together.",
  "target-url": "webhooks are the only target; they subscribe at the API.",
  "dump-file": "webhooks are the only target: nothing is dumped, they get the entries of the schema log.",
  reset: "webhooks are the only target: there is nothing to empty.",
  "data-only": "set PGSTREAM_POSTGRES_SNAPSHOT_MODE=data (source.postgres.snapshot.mode).",
  profile: "use node --cpu-prof."
}

/** Fails if one of the flags that are not there yet was given. */
const refuse = (given: Readonly<Record<string, unknown>>) =>
  Effect.suspend(() => {
    for (const [name, value] of Object.entries(given)) {
      const used = value === true || (Option.isOption(value) && Option.isSome(value))
      if (used && why[name] !== undefined) return notThereYet(`--${name}`, why[name])
    }
    return Effect.void
  })

const initFlags = {
  postgresUrl, replicationSlot, plugin, adopt, keepIdentities, wait,
  withInjector: hiddenSwitch("with-injector"), upgrade: hiddenSwitch("upgrade"),
  migrationsOnly, "slot-only": hiddenSwitch("slot-only"), printSql
}
const init = Command.make("init", initFlags, Effect.fnUntraced(function*(flags) {
  yield* refuse(flags)
  const { run } = yield* Effect.promise(() => import("./Init.ts"))
  yield* run(flags)
})).pipe(
  Command.withDescription("Makes schema, triggers, publication and replication slot in the source database. May be repeated."),
  Command.withExamples([
    { command: "pgstream init --postgres-url postgres://… --replication-slot my_slot", description: "With flags" },
    { command: "pgstream init -c config.yaml", description: "With a file" },
    { command: "pgstream init -c config.yaml --print-sql > admin.sql", description: "For a role that may not do all of it" }
  ])
)

const destroyFlags = {
  postgresUrl, replicationSlot, withInjector: hiddenSwitch("with-injector"),
  "migrations-only": hiddenSwitch("migrations-only"), "slot-only": hiddenSwitch("slot-only")
}
const destroyAs = (name: "destroy" | "tear-down") =>
  Command.make(name, destroyFlags, Effect.fnUntraced(function*(flags) {
    yield* refuse(flags)
    const { run } = yield* Effect.promise(() => import("./Destroy.ts"))
    yield* run({ ...flags, deprecated: name === "tear-down" })
  }))
const destroy = destroyAs("destroy").pipe(
  Command.withDescription("Removes everything that init and run made, and gives replica identities back.")
)
const tearDown = destroyAs("tear-down").pipe(Command.withDescription("Old name of destroy."))

const status = Command.make("status", { postgresUrl, replicationSlot, json }, Effect.fnUntraced(function*(flags) {
  const { run } = yield* Effect.promise(() => import("./Status.ts"))
  yield* run(flags)
})).pipe(
  Command.withDescription("Says whether everything is in place, what is not, and the command that mends it. Exit code 1 with findings."),
  Command.withExamples([{ command: "pgstream status -c config.yaml --json", description: "For a program" }])
)

const runFlags = {
  postgresUrl, replicationSlot, plugin,
  init: Flag.Boolean("init").pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Do what init does before")),
  source: Flag.Literals("source", ["postgres", "kafka"]).pipe(
    Flag.optional, Flag.withDescription("postgres: also switches the injector on")
  ),
  sourceUrl: Flag.String("source-url").pipe(Flag.optional, Flag.withDescription("The same as --postgres-url")),
  target: hiddenText("target"), "target-url": hiddenText("target-url"),
  snapshotTables: Flag.String("snapshot-tables").pipe(
    Flag.withMetavar("A,B"), Flag.optional, Flag.withDescription("Copy these tables while the stream runs (PGSTREAM_POSTGRES_SNAPSHOT_TABLES)")
  ),
  "dump-file": hiddenText("dump-file"), reset: hiddenSwitch("reset"), profile: hiddenSwitch("profile"),
  "data-only": hiddenSwitch("data-only"), withInjector: hiddenSwitch("with-injector"), upgrade: hiddenSwitch("upgrade")
}
const run = Command.make("run", runFlags, Effect.fnUntraced(function*(flags) {
  yield* refuse(flags)
  const { run } = yield* Effect.promise(() => import("./Run.ts"))
  yield* run(flags)
})).pipe(Command.withDescription("Follows the source and delivers each committed change, until it is stopped."))

const start = Command.make("start", runFlags, Effect.fnUntraced(function*(flags) {
  yield* refuse(flags)
  const { start } = yield* Effect.promise(() => import("./Start.ts"))
  yield* start(flags)
})).pipe(
  Command.withDescription("Runs what is configured; with nothing configured, the demo: a Postgres of its own, a receiver, and a few changes.")
)

const check = Command.make("check", {}, () => notThereYet("pgstream check", "pgstream status does what it did.")).pipe(
  Command.unlisted
)
const validate = Command.make("validate", { rest: Argument.String("what").pipe(Argument.variadic()), file: Flag.String("file").pipe(Flag.withAlias("f"), Flag.optional), json },
  () => notThereYet("pgstream validate", "transformation rules come later.")).pipe(Command.unlisted)

const versionCommand = Command.make("version", {}, Effect.fnUntraced(function*() {
  const { print } = yield* Effect.promise(() => import("./Globals.ts"))
  const { version } = yield* Effect.promise(() => import("../../version.ts"))
  yield* print(`pgstream version ${version}`)
})).pipe(Command.withDescription("Prints the version."))

/** The tree names itself. */
const wholeTree = (): Command.Command.Any => root

const completion = Command.make("completion", {
  shell: Argument.Literals("shell", ["bash", "fish", "powershell", "zsh"]),
  noDescriptions: hiddenSwitch("no-descriptions")
}, Effect.fnUntraced(function*({ shell }) {
  const { fromCommand, generate } = yield* Effect.promise(() => import("effect/cli/Completions"))
  const { print } = yield* Effect.promise(() => import("./Globals.ts"))
  yield* print(generate("pgstream", shell, fromCommand(wholeTree())))
})).pipe(Command.withDescription("Prints a completion script for a shell."))

const help = Command.make("help", { command: Argument.String("command").pipe(Argument.variadic()) }, () => Effect.void).pipe(
  Command.withDescription("Help about any command.")
)

export const root = Command.make("pgstream").pipe(
  Command.withDescription("Follows a Postgres database and delivers each committed change to webhooks."),
  Command.withSubcommands([init, run, start, status, subscriptions, deliveries, verify, tokens, destroy, tearDown, snapshot(refuse), check, validate, completion, versionCommand, help]),
  Command.withGlobalFlags(globalFlags)
)
