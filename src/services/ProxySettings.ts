/** The proxies by which webhooks are sent: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as read at the start. */
import * as Context from "effect/Context"
import { none, type Proxies } from "../domain/ProxyRules.ts"

export interface ProxySettingsShape extends Proxies {
  /** The proxy itself refuses what must not be reached: hosts that are reached by way of it are not judged by us. */
  readonly isGuard: boolean
}

/** Without a Layer for it no proxy is used. */
export const ProxySettings = Context.Reference<ProxySettingsShape>("pgstream/services/ProxySettings", {
  defaultValue: () => ({ ...none, isGuard: false })
})
