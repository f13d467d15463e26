/** The address guard, from its keys and from where the API listens. */
import * as AddressRules from "../../domain/AddressRules.ts"
import * as IpAddress from "../../domain/IpAddress.ts"
import type { AddressGuardSettingsShape } from "../../services/AddressGuard.ts"
import type { ApiSettingsShape } from "../../services/Settings.ts"
import type { Reader } from "./Reader.ts"

const readAllowed = (reader: Reader): AddressRules.AllowedHosts => {
  const { allowed, bad } = AddressRules.parseAllowedHosts(reader.list("guard.allowed") ?? [])
  for (const entry of bad) {
    reader.problem("guard.allowed", `has ${JSON.stringify(entry)}, which is no host name, IP address or range; write for example hooks.internal, 10.0.0.5 or 10.0.0.0/8`)
  }
  return allowed
}

const isLoopback = (host: string): boolean => {
  const ip = IpAddress.parse(host)
  return host === "localhost" || ip !== undefined && AddressRules.classOf(ip) === "loopback"
}

export const readGuard = (reader: Reader, api: ApiSettingsShape): AddressGuardSettingsShape => {
  const chosen = reader.choice("guard.reach", ["auto", "public", "local"] as const) ?? "auto"
  const listeners = [
    { host: api.host, port: api.port },
    ...(api.healthEnabled ? [{ host: api.healthHost, port: api.healthPort }] : [])
  ]
  return {
    reach: chosen === "auto" ? (isLoopback(api.host) ? "local" : "public") : chosen,
    allowed: readAllowed(reader),
    // A free port is known when the server listens.
    own: listeners.filter(({ port }) => port !== 0)
  }
}
