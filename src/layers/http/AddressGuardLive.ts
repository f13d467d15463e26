/** The address guard for who asks before anything is sent: subscribe, test, replay. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import { hostOf } from "../../domain/AddressRules.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { AddressGuard, AddressGuardSettings, AddressRefused } from "../../services/AddressGuard.ts"
import { type Guard, guardOf } from "./guarding.ts"

/** A name server that takes longer has no say here, ms. */
const LOOKUP_MS = 2_000

const addressesOf = (host: string): Effect.Effect<ReadonlyArray<string>> =>
  isIP(host) !== 0
    ? Effect.succeed([host])
    : Effect.tryPromise(() => lookup(host, { all: true })).pipe(
      Effect.map((found) => found.map(({ address }) => address)),
      Effect.timeout(LOOKUP_MS),
      Effect.orElseSucceed(() => [])
    )

const check = (guard: Guard, url: string): Effect.Effect<void, AddressRefused> => {
  const target = WebhookUrl.parse(url)
  if (Result.isFailure(target)) return Effect.void
  const { hostname, port, protocol } = new URL(target.success.origin)
  const host = hostOf(hostname)
  return Effect.flatMap(addressesOf(host), (addresses) => {
    const found = addresses.map((address) => guard.refusal(host, address, Number(port || (protocol === "https:" ? 443 : 80))))
    const [first] = found
    // One address that may be reached is enough: the others are passed over when it is connected to.
    return first === undefined || found.includes(undefined)
      ? Effect.void
      : Effect.fail(new AddressRefused({ host, found: first }))
  })
}

export const layer = Layer.effect(
  AddressGuard,
  Effect.gen(function*() {
    const settings = yield* AddressGuardSettings
    const guard = guardOf(settings)
    return AddressGuard.of({ on: settings.reach === "public", check: (url) => check(guard, url) })
  })
)
