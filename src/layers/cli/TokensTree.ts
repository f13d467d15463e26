/** `pgstream tokens …`: commands and flags. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { shared } from "./AdminFlags.ts"

const work = Effect.promise(() => import("./Tokens.ts"))
const name = Argument.String("name").pipe(Argument.withDescription("Letters, digits, dots and hyphens; audit lines have it"))

const add = Command.make("add", {
  ...shared,
  name,
  scope: Flag.Literals("scope", ["read", "manage"]).pipe(
    Flag.withDescription("read: lists and shows, without values of rows; manage: everything")
  ),
  expires: Flag.String("expires").pipe(
    Flag.withMetavar("LIFETIME"), Flag.optional, Flag.withDescription("Such as 90d or 12h; without it, it does not end by itself")
  )
}, Effect.fnUntraced(function*(flags) {
  yield* (yield* work).add(flags)
})).pipe(
  Command.withDescription("Makes a token of the API and prints it, this once."),
  Command.withExamples([{ command: "pgstream tokens add grafana --scope read --expires 90d", description: "For a dashboard" }])
)

const list = Command.make("list", shared, Effect.fnUntraced(function*(flags) {
  yield* (yield* work).list(flags)
})).pipe(Command.withDescription("Lists the tokens by name, with the day of their last use. It does not show them."))

const remove = Command.make("remove", { ...shared, name }, Effect.fnUntraced(function*(flags) {
  yield* (yield* work).remove(flags)
})).pipe(Command.withDescription("Removes a token: running services refuse it within seconds."))

export const tokens = Command.make("tokens").pipe(
  Command.withDescription("Named tokens of the API, kept in the store by their hash."),
  Command.withSubcommands([add, list, remove])
)
