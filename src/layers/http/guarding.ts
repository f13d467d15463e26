/** The address guard as the sockets ask it. */
import { lookup as resolve, type LookupAddress } from "node:dns"
import type { LookupFunction } from "node:net"
import { networkInterfaces } from "node:os"
import { hostOf, type OwnListener, reachesOwn, refusal } from "../../domain/AddressRules.ts"
import { type AddressGuardSettingsShape, OWN_LISTENER } from "../../services/AddressGuard.ts"

export const NOT_ALLOWED_CODE = "ADDRESS_NOT_ALLOWED"

export class AddressNotAllowed extends Error {
  readonly code = NOT_ALLOWED_CODE
}

/** Where this process listens, as long as it does. */
const listeners = new Set<OwnListener>()

/** To be called when a server of ours listens; what it gives ends that. */
export const listensAt = (own: OwnListener): (() => void) => {
  listeners.add(own)
  return () => void listeners.delete(own)
}

export interface Guard {
  /** Why nothing is sent to `address` and `port`: its class, or `OWN_LISTENER`. `host`: of the URL. `undefined`: it may be. */
  refusal(host: string, address: string, port: number): string | undefined
}

const interfaceAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address))

export const guardOf = (settings: AddressGuardSettingsShape): Guard => ({
  refusal: (host, address, port) => {
    const own = [...settings.own, ...listeners].filter((listener) => listener.port === port)
    if (own.length > 0 && reachesOwn(own, interfaceAddresses(), address, port)) return OWN_LISTENER
    return refusal(settings, hostOf(host), address)
  }
})

/** Errors of `dns.lookup` are handed on. */
type Resolved = (error: Error | null, addresses: ReadonlyArray<LookupAddress>) => void

/**
 * Resolves `host` for all who ask while it is under way: a name server that hangs holds one of the process's four
 * threads for a host, not one for each connection that is opened to it.
 */
const shared = (host: string): ((done: Resolved) => void) => {
  let waiting: Array<Resolved> | undefined
  return (done) => {
    if (waiting !== undefined) return void waiting.push(done)
    waiting = [done]
    resolve(host, { all: true, order: "verbatim" }, (error, addresses) => {
      const all = waiting!
      waiting = undefined
      for (const one of all) one(error, addresses)
    })
  }
}

/** Gives only addresses that may be connected to; `AddressNotAllowed` where none of several is left. */
export const guardedLookup = (guard: Guard, host: string, port: number): LookupFunction => {
  const addressesOf = shared(host)
  return (_host, options, done) =>
    addressesOf((error, all) => {
      if (error !== null) return done(error, [])
      const allowed = all.filter(({ address }) => guard.refusal(host, address, port) === undefined)
      const [first] = allowed
      if (first === undefined) done(new AddressNotAllowed("address not allowed"), [])
      else if (options.all === true) done(null, allowed)
      else done(null, first.address, first.family)
    })
}
