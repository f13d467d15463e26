import * as Result from "effect/Result"
import { assert, it } from "vitest"
import { formatProblem } from "../../../src/layers/settings/ConfigurationError.ts"
import { resolve } from "../../../src/layers/settings/Resolve.ts"

const url = "postgres://postgres:hush@localhost:5432?sslmode=disable"
const given = (env: Record<string, string>) =>
  resolve({
    flags: {}, file: undefined, readFile: () => Result.fail("no such file or directory"),
    env: { PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url, ...env }
  }, { target: true })
const proxies = (env: Record<string, string>) => given(env).settings!.proxies
const open = { PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: "0.0.0.0:9900", PGSTREAM_API_TOKEN: "t" }

it("reads the proxies of the environment, lower case first", () => {
  const found = proxies({ HTTP_PROXY: "http://upper", http_proxy: "http://lower:1", HTTPS_PROXY: "http://s:2", no_proxy: "", NO_PROXY: "a.example" })
  assert.deepInclude(found.http, { host: "lower", port: 1 })
  assert.deepInclude(found.https, { host: "s", port: 2 })
  assert.deepStrictEqual(found.noProxy, [{ host: "a.example", port: undefined }])
  assert.deepStrictEqual(given({ HTTP_PROXY: "http://upper" }).warnings, [])
  assert.isUndefined(proxies({ HTTP_PROXY: "" }).http)
})

it("refuses a proxy that it cannot use, by the variable's name", () => {
  const [problem] = given({ HTTPS_PROXY: "socks5://user:hush@proxy" }).problems.map(formatProblem)
  assert.match(problem!, /HTTPS_PROXY.*socks5/)
  assert.notInclude(problem, "hush")
})

it("uses none while only public addresses may be reached, and says so; unless the proxy is named as the guard", () => {
  const guarded = given({ ...open, https_proxy: "http://user:hush@proxy" })
  assert.isUndefined(guarded.settings!.proxies.https)
  const [warning] = guarded.warnings.map(formatProblem)
  assert.match(warning!, /https_proxy.*PGSTREAM_WEBHOOK_PROXY_IS_GUARD=true/)
  assert.notInclude(warning, "hush")
  const named = given({ ...open, https_proxy: "http://proxy", PGSTREAM_WEBHOOK_PROXY_IS_GUARD: "true" })
  assert.deepInclude(named.settings!.proxies, { isGuard: true })
  assert.strictEqual(named.settings!.proxies.https?.host, "proxy")
  assert.deepStrictEqual(named.warnings, [])
  assert.match(given({ PGSTREAM_WEBHOOK_PROXY_IS_GUARD: "true" }).warnings.map(formatProblem)[0]!, /no effect/)
})
