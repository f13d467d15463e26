import * as Result from "effect/Result"
import { assert, it } from "vitest"
import * as AddressRules from "../../../src/domain/AddressRules.ts"
import { formatProblem } from "../../../src/layers/settings/ConfigurationError.ts"
import { resolve } from "../../../src/layers/settings/Resolve.ts"

const url = "postgres://postgres:hush@localhost:5432?sslmode=disable"
const given = (env: Record<string, string>, yaml?: string) =>
  resolve({
    flags: {}, file: yaml === undefined ? undefined : { name: "pg.yaml", text: yaml }, readFile: () => Result.fail("no such file or directory"),
    env: { PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url, PGSTREAM_API_TOKEN: "t", ...env }
  }, { target: true })
const guard = (env: Record<string, string>, yaml?: string) => {
  const { problems, settings } = given(env, yaml)
  assert.deepStrictEqual(problems, [])
  return settings!.guard
}
const at = (address: string) => ({ PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: address })

it("is local while the API listens on loopback alone, else public; unless it is chosen", () => {
  for (const address of ["127.0.0.1:9900", "127.8.0.1:9900", "localhost:9900", "[::1]:9900"]) assert.strictEqual(guard(at(address)).reach, "local", address)
  for (const address of [":9900", "0.0.0.0:9900", "[::]:9900", "10.0.0.1:9900"]) assert.strictEqual(guard(at(address)).reach, "public", address)
  assert.strictEqual(guard({}).reach, "local")
  assert.strictEqual(guard({ PGSTREAM_WEBHOOK_ADDRESS_GUARD: "public" }).reach, "public")
  assert.strictEqual(guard({ ...at(":9900"), PGSTREAM_WEBHOOK_ADDRESS_GUARD: "local" }).reach, "local")
  assert.match(given({ PGSTREAM_WEBHOOK_ADDRESS_GUARD: "off" }).problems.map(formatProblem)[0]!, /PGSTREAM_WEBHOOK_ADDRESS_GUARD.*'auto', 'public' or 'local'/)
})

it("reads names, addresses and ranges, in the environment and in YAML", () => {
  const text = guard({ PGSTREAM_WEBHOOK_ALLOWED_HOSTS: "Hooks.internal., 10.0.0.0/8 [fd00::1]" })
  const list = guard({}, "target:\n  webhooks:\n    allowed_hosts: [hooks.internal, 10.0.0.0/8, 'fd00::1']\n")
  assert.deepStrictEqual(text.allowed, list.allowed)
  assert.deepStrictEqual([...text.allowed.names], ["hooks.internal"])
  const policy = { ...text, reach: "public" } as const
  for (const address of ["10.1.2.3", "fd00::1"]) assert.isUndefined(AddressRules.refusal(policy, "x", address))
})

it("names each entry that is none", () => {
  const problems = given({ PGSTREAM_WEBHOOK_ALLOWED_HOSTS: "http://a,10.0.0.0/40" }).problems.map(formatProblem)
  assert.lengthOf(problems, 2)
  assert.match(problems[0]!, /PGSTREAM_WEBHOOK_ALLOWED_HOSTS.*"http:\/\/a", which is no host name, IP address or range/)
  assert.match(problems[1]!, /"10\.0\.0\.0\/40"/)
})

it("knows where the program itself listens", () => {
  assert.deepStrictEqual(guard({}).own, [{ host: "127.0.0.1", port: 9900 }, { host: "127.0.0.1", port: 9901 }])
  assert.deepStrictEqual(guard({ ...at("127.0.0.1:0"), PGSTREAM_HEALTH_CHECK_ENABLED: "false" }).own, [])
})
