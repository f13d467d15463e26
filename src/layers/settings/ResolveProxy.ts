/**
 * HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment; the lower-case names go first, as with curl. While the
 * address guard lets only public addresses through they are not used, unless the proxy is named as the guard: by way
 * of it everything that it reaches could be reached.
 */
import * as Result from "effect/Result"
import * as ProxyRules from "../../domain/ProxyRules.ts"
import type { AddressGuardSettingsShape } from "../../services/AddressGuard.ts"
import type { ProxySettingsShape } from "../../services/ProxySettings.ts"
import type { Collected } from "./Collect.ts"
import type { Reader } from "./Reader.ts"

const IS_GUARD = "PGSTREAM_WEBHOOK_PROXY_IS_GUARD=true"

/** Of the names that are set, the first that is not empty. */
const variable = (collected: Collected, name: string): { readonly name: string; readonly text: string } | undefined => {
  for (const one of [name.toLowerCase(), name]) {
    const text = collected.variables[one]
    if (text !== undefined && text.trim() !== "") return { name: one, text }
  }
  return undefined
}

const readProxy = (collected: Collected, name: string): ProxyRules.Proxy | undefined => {
  const found = variable(collected, name)
  if (found === undefined) return undefined
  const proxy = ProxyRules.parseProxy(found.text)
  if (Result.isSuccess(proxy)) return proxy.success
  collected.problems.push({ where: "environment", key: found.name, message: proxy.failure })
  return undefined
}

export const readProxies = (reader: Reader, collected: Collected, guard: AddressGuardSettingsShape): ProxySettingsShape => {
  const isGuard = reader.boolean("proxy.isGuard", false)
  const [http, https] = [readProxy(collected, "HTTP_PROXY"), readProxy(collected, "HTTPS_PROXY")]
  if (http === undefined && https === undefined) {
    if (isGuard) reader.warning("proxy.isGuard", "has no effect: neither HTTP_PROXY nor HTTPS_PROXY is set")
    return { ...ProxyRules.none, isGuard: false }
  }
  if (guard.reach === "public" && !isGuard) {
    const key = (http === undefined ? undefined : variable(collected, "HTTP_PROXY")) ?? variable(collected, "HTTPS_PROXY")
    collected.warnings.push({
      where: "environment", key: key?.name ?? "HTTPS_PROXY",
      message: `is not used for webhooks: only public addresses may be reached. If the proxy refuses others itself, set ${IS_GUARD}`
    })
    return { ...ProxyRules.none, isGuard: false }
  }
  return { http, https, noProxy: ProxyRules.parseNoProxy(variable(collected, "NO_PROXY")?.text ?? ""), isGuard }
}
