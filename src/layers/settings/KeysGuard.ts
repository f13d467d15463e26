/** Keys of the address guard: which hosts webhooks may be sent to. */
import type { Key } from "./Key.ts"

export const guard: ReadonlyArray<Key> = [
  { id: "guard.reach", env: "PGSTREAM_WEBHOOK_ADDRESS_GUARD", yaml: "target.webhooks.address_guard", kind: "choice", choices: ["auto", "public", "local"], state: "works", standard: "auto", meaning: "`public`: webhooks are sent to public addresses only. `local`: to all but link-local addresses and metadata services of clouds. `auto`: `local` while the API listens on loopback alone, else `public`. Choose `public` where a proxy makes a loopback API reachable. See [security.md](security.md)." },
  { id: "guard.allowed", env: "PGSTREAM_WEBHOOK_ALLOWED_HOSTS", yaml: "target.webhooks.allowed_hosts", kind: "list", state: "works", standard: "", meaning: "Hosts that the guard lets through, with blanks or commas between (in YAML a list): names as they stand in the URL (`hooks.internal`), addresses (`10.0.0.5`) and ranges (`10.0.0.0/8`, `fd00::/8`). A name lets private addresses through, never link-local ones or metadata services." },
  { id: "proxy.isGuard", env: "PGSTREAM_WEBHOOK_PROXY_IS_GUARD", yaml: "target.webhooks.proxy_is_guard", kind: "boolean", state: "works", standard: "false", meaning: "Webhooks go by way of the proxies that `HTTP_PROXY` and `HTTPS_PROXY` name (lower case goes first), but for hosts in `NO_PROXY`. With the guard at `public` they are not used, unless this says that the proxy itself refuses what must not be reached." }
]
