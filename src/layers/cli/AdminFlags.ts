/** Flags and arguments that the commands for operators share. */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"

export const postgresUrl = Flag.String("postgres-url").pipe(
  Flag.withMetavar("URL"), Flag.optional,
  Flag.withDescription("Source database, and the store where none is configured (PGSTREAM_POSTGRES_LISTENER_URL)")
)
export const replicationSlot = Flag.String("replication-slot").pipe(
  Flag.withMetavar("NAME"), Flag.optional, Flag.withDescription("Slot of the stream whose states are meant (default pgstream_<database>_slot)")
)
export const json = Flag.Boolean("json").pipe(
  Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Print JSON, with ids in full")
)

/** Where and how, for each of them. */
export const shared = { postgresUrl, replicationSlot, json }

export const endpointName = Argument.String("endpoint").pipe(
  Argument.withDescription("Id or URL of an endpoint, or id of one of its subscriptions; an id may be cut short")
)
export const subscriptionName = Argument.String("subscription").pipe(
  Argument.withDescription("Id of a subscription, which may be cut short, or a URL that only one has")
)
