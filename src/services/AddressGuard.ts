/**
 * Which hosts webhooks may be sent to. The transport holds each connection to it, by the address that it is connected
 * to, at every attempt, before a byte of the request is written; so a name that resolves differently later finds no
 * window.
 *
 * - Always refused: this process's own API and health addresses, metadata services of clouds, link-local addresses.
 * - `reach: "public"` also refuses loopback, private, shared and all other addresses that are not public.
 * - `allowed` lets single hosts through: a name to private addresses, an address or range to whatever it is.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type AddressPolicy, nothingAllowed, type OwnListener } from "../domain/AddressRules.ts"

/** `reason` of a NoAnswer by the guard: the same request would be refused again, so it is not retried like an outage. */
export { NOT_ALLOWED as ADDRESS_NOT_ALLOWED } from "../domain/RetryPolicy.ts"

export interface AddressGuardSettingsShape extends AddressPolicy {
  /** API and health, as configured; what this process listens at is added to them. */
  readonly own: ReadonlyArray<OwnListener>
}
/** Without a Layer for it: all but link-local addresses and metadata services, as with an API on loopback. */
export const AddressGuardSettings = Context.Reference<AddressGuardSettingsShape>("pgstream/services/AddressGuardSettings", {
  defaultValue: () => ({ reach: "local", allowed: nothingAllowed, own: [] })
})

/** In place of a class: this process listens there. */
export const OWN_LISTENER = "own listener"
const NAMES_DO_NOT_DO: ReadonlySet<string> = new Set(["metadata", "link-local"])

/** A URL to whose host nothing would be sent. `found`: class of its address, or `own listener`. */
export class AddressRefused extends Schema.TaggedError<AddressRefused>()("AddressRefused", {
  host: Schema.String,
  found: Schema.String
}) {
  override get message() {
    if (this.found === OWN_LISTENER) {
      return `Webhooks cannot be sent to ${this.host}: pgstream itself listens there. Choose another address.`
    }
    return `Webhooks may not be sent to ${this.host}: its address is ${this.found}. ` +
      "If it is meant, name its host, address or range in PGSTREAM_WEBHOOK_ALLOWED_HOSTS" +
      `${NAMES_DO_NOT_DO.has(this.found) ? " (as an address or range: a name does not do here)" : ""}.`
  }
}

export class AddressGuard extends Context.Service<AddressGuard, {
  /** Only public addresses: then no proxy of the environment is used unless it is named as the guard. */
  readonly on: boolean
  /**
   * What a request to `url` would meet now. A host that has no address now passes, and so does what is no URL: other
   * checks say so. Takes 2 s at most. Each attempt is checked anew.
   */
  check(url: string): Effect.Effect<void, AddressRefused>
}>()("pgstream/services/AddressGuard") {}
