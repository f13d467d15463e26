import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import { resolve, type Resolved } from "../../../src/layers/settings/Resolve.ts"
import { formatProblem } from "../../../src/layers/settings/ConfigurationError.ts"

const url = "postgres://postgres:hush@localhost:5432?sslmode=disable"
const listener = { PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url }

interface Given {
  readonly env?: Record<string, string>
  readonly file?: readonly [name: string, text: string]
  readonly flags?: Record<string, { flag: string; value: string }>
  readonly files?: Record<string, string>
  readonly target?: boolean
}
const given = (from: Given): Resolved =>
  resolve({
    env: from.env ?? {}, flags: from.flags ?? {},
    file: from.file === undefined ? undefined : { name: from.file[0], text: from.file[1] },
    readFile: (path) => {
      const text = from.files?.[path]
      return text === undefined ? Result.fail("no such file or directory") : Result.succeed(text)
    }
  }, { target: from.target ?? true })
const problems = (from: Given) => given(from).problems.map(formatProblem)
const warnings = (from: Given) => given(from).warnings.map(formatProblem)
const settings = (from: Given) => {
  const { problems, settings } = given(from)
  assert.deepStrictEqual(problems.map(formatProblem), [])
  if (settings === undefined) throw new Error("no settings")
  return settings
}
const withEnv = (more: Record<string, string>) => ({ env: { ...listener, ...more } })
const yaml = (more: string): Given => ({ file: ["pg.yaml", `
source:
  postgres:
    url: "${url}"
    mode: replication # only this
    replication:
      replication_slot: pgstream_tutorial_slot
target:
  webhooks:
    subscriptions:
      store:
        url: "${url}"
        cache:
          enabled: true
          refresh_interval: 60
${more}`] })

describe("the tutorial's two files", () => {
  const envFile: Given = { file: ["pg2webhook_tutorial.env", `
# Listener config
PGSTREAM_POSTGRES_LISTENER_URL="${url}"
PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME=pgstream_tutorial_slot

# Processor config
export PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL='${url}'
PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_ENABLED=true
PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_CACHE_REFRESH_INTERVAL="60s" # staleness
`] }

  it("give the same settings, with and without the injector", () => {
    const fromEnv = settings(envFile)
    const fromYaml = settings(yaml("modifiers:\n  injector:\n    enabled: true\n"))
    assert.strictEqual(fromEnv.source.slotName, "pgstream_tutorial_slot")
    assert.strictEqual(Redacted.value(fromEnv.source.url), Redacted.value(fromYaml.source.url))
    assert.deepStrictEqual({ ...fromYaml, injector: false, source: null, store: null }, { ...fromEnv, source: null, store: null })
    assert.isFalse(fromEnv.injector)
    assert.isTrue(fromYaml.injector)
    assert.isTrue(fromEnv.store.inSource)
    assert.strictEqual(fromEnv.store.refreshIntervalMs, 60_000)
  })

  it("has the injector on when its URL is set", () => {
    assert.isTrue(settings(withEnv({ PGSTREAM_INJECTOR_STORE_POSTGRES_URL: url })).injector)
  })
})

describe("sources", () => {
  it("takes a flag before the environment before the file", () => {
    const from: Given = {
      ...yaml(""), env: { PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: "from_env", PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "3s" }
    }
    assert.strictEqual(settings(from).source.slotName, "from_env")
    assert.strictEqual(settings(from).notifier.attemptTimeoutMs, 3_000)
    assert.strictEqual(settings({ ...from, flags: { "source.slot": { flag: "--replication-slot", value: "from_flag" } } }).source.slotName, "from_flag")
    assert.deepStrictEqual(warnings(from), [
      "environment  PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME  overrides source.postgres.replication.replication_slot of pg.yaml:7"
    ])
  })

  it("replaces ${VAR} in files, from the environment and from the file itself", () => {
    const found = settings({
      env: { PW: "s3cret", TIMEOUT: "1500" },
      file: ["a.yaml", "source:\n  postgres:\n    url: postgres://u:${PW}@db/x\n    replication: {replication_slot: \"${SLOT:-a_slot}\"}\ntarget:\n  webhooks:\n    subscriptions: {store: {url: 'postgres://u@other/y'}}\n    notifier:\n      client_timeout: ${TIMEOUT}\n"]
    })
    assert.include(Redacted.value(found.source.url), "u:s3cret@db")
    assert.strictEqual(found.source.slotName, "a_slot")
    assert.strictEqual(found.notifier.attemptTimeoutMs, 1_500)
    assert.isFalse(found.store.inSource)
    assert.strictEqual(found.store.refreshIntervalMs, 1_000)
    assert.strictEqual(settings({ file: ["a.env", `HOST=db9\nPGSTREAM_POSTGRES_LISTENER_URL=postgres://u@\${HOST}/x\nPGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL="postgres://u@\${HOST}/x"`] }).store.inSource, true)
    assert.deepStrictEqual(problems({ ...withEnv({}), file: ["a.env", "PGSTREAM_API_TOKEN=${NOPE}"] }), ["a.env:1  PGSTREAM_API_TOKEN  refers to ${NOPE}, which is not set"])
  })

  it("takes a key for encryption in base64 and hex, from a file too, and says what is wrong without showing it", () => {
    const key = Buffer.alloc(32, 7)
    const target = { ...listener, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url }
    for (const text of [key.toString("base64"), key.toString("hex"), key.toString("base64url"), `${key.toString("base64")}\n`]) {
      assert.deepStrictEqual(Buffer.from(Redacted.value(settings({ env: { ...target, PGSTREAM_SECRET_KEY: text } }).secrets.key!)), key)
    }
    const found = settings({
      env: { ...target, PGSTREAM_SECRET_KEY_FILE: "/run/key", PGSTREAM_SECRET_KEY_PREVIOUS: `${key.toString("hex")}, ${key.toString("base64")}` },
      files: { "/run/key": `${key.toString("base64")}\n` }
    })
    assert.deepStrictEqual([found.secrets.previous.length, Redacted.value(found.secrets.key!).length], [2, 32])
    assert.deepStrictEqual(settings({ env: target }).secrets, { key: undefined, previous: [] })
    for (const text of ["s3cret", Buffer.alloc(31, 7).toString("base64"), `${key.toString("hex")}00`]) {
      for (const name of ["PGSTREAM_SECRET_KEY", "PGSTREAM_SECRET_KEY_PREVIOUS"]) {
        const [problem] = problems({ env: { ...target, [name]: text } })
        assert.include(JSON.stringify(problem), "openssl rand -base64 32")
        assert.notInclude(JSON.stringify(problem), text)
      }
    }
  })

  it("reads a secret from the file that …_FILE names", () => {
    const found = settings({ env: { PGSTREAM_POSTGRES_LISTENER_URL_FILE: "/run/url", PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url, PGSTREAM_API_TOKEN_FILE: "/run/token" }, files: { "/run/url": `${url}\n`, "/run/token": "t0ken\n" } })
    assert.include(Redacted.value(found.source.url), "postgres:hush@localhost:5432/postgres")
    assert.strictEqual(Redacted.value(found.api.token!), "t0ken")
    assert.deepStrictEqual(problems(withEnv({ PGSTREAM_API_TOKEN_FILE: "/nowhere" })), ["environment  PGSTREAM_API_TOKEN_FILE  names a file that cannot be read (no such file or directory)"])
    assert.lengthOf(problems({ env: { ...listener, PGSTREAM_API_TOKEN: "a", PGSTREAM_API_TOKEN_FILE: "/run/token" }, files: { "/run/token": "b" } }), 1)
  })

  it("fills from PG* variables what the URL lacks", () => {
    const found = settings({ env: { PGSTREAM_POSTGRES_LISTENER_URL: "postgres:///", PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: "postgres:///", PGHOST: "h", PGUSER: "u", PGPASSWORD: "p@:/", PGDATABASE: "My.Shop-1" } })
    assert.include(Redacted.value(found.source.url), "postgres://u:p%40%3A%2F@h:5432/My.Shop-1")
    assert.strictEqual(found.source.slotName, "pgstream_my_shop_1_slot")
  })

  it("has postgres as database and slot name without one", () => {
    assert.strictEqual(settings(withEnv({})).source.slotName, "pgstream_postgres_slot")
  })

  it("passes over what Kubernetes makes, warns of other unknown variables, and takes an empty one as not set", () => {
    const env = {
      ...listener, PGSTREAM_PORT: "tcp://10.0.0.1:9900", PGSTREAM_PORT_9900_TCP_ADDR: "10.0.0.1", PGSTREAM_SERVICE_HOST: "10.0.0.1",
      PGSTREAM_SERVICE_PORT_HTTP: "9900", PGSTREAM_API_SERVICE_HOST: "10.0.0.2", PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMOUT: "1s",
      PGSTREAM_API_TOKEN: ""
    }
    assert.deepStrictEqual(warnings({ env }), ["environment  PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMOUT  is no known variable and is not used; the nearest is PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT"])
    assert.isUndefined(settings({ env }).api.token)
  })
})

describe("values", () => {
  const timeout = (text: string) => settings(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: text })).notifier.attemptTimeoutMs
  it.each([["60s", 60_000], ["500ms", 500], ["1m30s", 90_000], ["1h", 3_600_000], ["1.5s", 1_500], ["0s", 10_000], ["-1s", 10_000]])("reads the duration %s", (text, ms) => {
    assert.strictEqual(timeout(text), ms)
  })
  it.each(["60", "abc", "10 parsecs", "1s2"])("refuses the duration %s in the environment", (text) => {
    const [problem, ...more] = problems(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: text }))
    assert.match(problem ?? "", /^environment {2}PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT {2}/)
    assert.deepStrictEqual(more, [])
  })
  it("says of a bare number which units there are", () => {
    assert.include(problems(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_CLIENT_TIMEOUT: "60" }))[0], `"60" has no unit; write 60s or 60ms`)
  })
  it("takes YAML integers with the unit of their key, and texts with a unit", () => {
    const found = settings(yaml("    notifier:\n      client_timeout: 2500\n      grace_period: 3\n      park_after: 7s\n      parked_schedule: [1, 2s, 1m]\n"))
    assert.strictEqual(found.notifier.attemptTimeoutMs, 2_500)
    assert.strictEqual(found.notifier.graceMs, 3_000)
    assert.strictEqual(found.notifier.parkAfterMs, 7_000)
    assert.deepStrictEqual(found.notifier.parkedScheduleMs, [1_000, 2_000, 60_000])
    assert.lengthOf(problems(yaml("    notifier:\n      client_timeout: 1.5\n")), 1)
    assert.lengthOf(problems(yaml("    notifier:\n      client_timeout: \"60\"\n")), 1)
  })
  it("takes sizes with a unit", () => {
    const size = (text: string) => settings(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_MAX_QUEUE_BYTES: text })).notifier.maxQueueBytes
    assert.deepStrictEqual(["1048576", "512KiB", "10MB", "1GiB"].map(size), [1_048_576, 524_288, 10_000_000, 1_073_741_824])
    assert.lengthOf(problems(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_MAX_QUEUE_BYTES: "ten" })), 1)
  })
  it("takes WORKER_COUNT as the old name of the concurrency", () => {
    assert.strictEqual(settings(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_WORKER_COUNT: "5" })).notifier.concurrency, 5)
    assert.strictEqual(settings(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_WORKER_COUNT: "5", PGSTREAM_WEBHOOK_NOTIFIER_CONCURRENCY: "6" })).notifier.concurrency, 6)
    assert.strictEqual(settings(withEnv({})).notifier.concurrency, 64)
    assert.lengthOf(problems(withEnv({ PGSTREAM_WEBHOOK_NOTIFIER_WORKER_COUNT: "-1" })), 1)
  })
  it("takes a zone by name only", () => {
    const zone = (text: string) => withEnv({ PGSTREAM_POSTGRES_TIMEZONE: text })
    assert.strictEqual(settings(zone("Europe/Madrid")).source.timezone, "Europe/Madrid")
    assert.isUndefined(settings(withEnv({})).source.timezone)
    for (const text of ["Mars/Base", "+02:00", "CEST'; x", ""]) assert.match(problems(zone(text)).join(), text === "" ? /^$/ : /is no zone/)
  })
  it("refuses what cannot be a slot", () => {
    for (const slot of ["Bad-Slot", "a'b", "x".repeat(64)]) {
      assert.match(problems(withEnv({ PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: slot }))[0] ?? "", /is no name of a slot/)
    }
  })
})

describe("the address of the API", () => {
  const address = (text: string, more: Record<string, string> = {}) => withEnv({ PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: text, ...more })
  it("is loopback unless configured", () => {
    const { api } = settings(withEnv({}))
    assert.deepStrictEqual([api.host, api.port, api.healthHost, api.healthPort], ["127.0.0.1", 9900, "127.0.0.1", 9901])
  })
  it.each(["127.0.0.1:9900", "localhost:80", "[::1]:9900"])("needs no token on %s", (text) => {
    assert.deepStrictEqual(problems(address(text)), [])
  })
  it.each([":9900", "0.0.0.0:9900", "10.1.2.3:9900", "[::]:9900"])("needs a token or leave on %s", (text) => {
    assert.include(problems(address(text))[0], "PGSTREAM_API_TOKEN")
    assert.deepStrictEqual(problems(address(text, { PGSTREAM_API_TOKEN: "x" })), [])
    assert.deepStrictEqual(problems(address(text, { PGSTREAM_API_ALLOW_UNAUTHENTICATED: "true" })), [])
  })
  it("refuses what is no address, and one port for two servers", () => {
    assert.include(problems(address("9900"))[0], "write 127.0.0.1:9900")
    assert.lengthOf(problems(address("127.0.0.1:9901")), 1)
  })
})

describe("problems", () => {
  it("are all reported at once, with file, line and key", () => {
    const found = problems({
      file: ["bad.yaml", "source:\n  postgres:\n    url: mysql://u:hush@h/d\n    replication:\n      replication_slt: x\ntarget:\n  webhooks:\n    subscriptions:\n      store:\n        cache:\n          refresh_interval: sixty\n  kafka:\n    topic: {name: x}\nmodifiers:\n  transformations:\n    validation_mode: strict\n"],
      env: { PGSTREAM_API_ALLOW_UNAUTHENTICATED: "yes" }
    })
    assert.deepStrictEqual(found.map((line) => line.split("  ").slice(0, 2).join(" ")), [
      "bad.yaml:3 source.postgres.url",
      "bad.yaml:5 source.postgres.replication.replication_slt",
      "bad.yaml:11 target.webhooks.subscriptions.store.cache.refresh_interval",
      "bad.yaml:12 target.kafka",
      "bad.yaml:15 modifiers.transformations",
      "configuration PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL",
      "environment PGSTREAM_API_ALLOW_UNAUTHENTICATED"
    ])
    assert.include(found[1], "the nearest is source.postgres.replication.replication_slot")
    assert.notInclude(found.join("\n"), "hush")
  })
  it("names the line of broken YAML and of a line that is no KEY=VALUE", () => {
    assert.match(problems({ ...withEnv({}), file: ["b.yaml", "source:\n  postgres: {a: [1\n"] })[0] ?? "", /^b\.yaml:[23] {2}is not valid YAML/)
    assert.deepStrictEqual(problems({ ...withEnv({}), file: ["b.env", "\nnonsense\n"] }), ["b.env:2  is no KEY=VALUE line"])
  })
  it("finds a value where a mapping is expected, and the other way round", () => {
    assert.include(problems({ ...withEnv({}), file: ["b.yaml", "source:\n  postgres: text\n"] })[0], "is a value where a mapping is expected")
    assert.include(problems({ ...withEnv({}), file: ["b.yaml", "source:\n  postgres:\n    url: {a: b}\n"] })[0], "is a mapping where a value is expected")
  })
  it("refuse unknown keys in a file with the nearest name, and take names that ${…} refers to", () => {
    assert.include(problems({ ...withEnv({}), file: ["b.env", "PGSTREAM_POSTGRES_LISTENR_URL=x"] })[0], "the nearest is PGSTREAM_POSTGRES_LISTENER_URL")
    assert.lengthOf(problems({ ...withEnv({}), file: ["b.env", "FOO=x"] }), 1)
    assert.deepStrictEqual(problems({ ...withEnv({}), file: ["b.env", "FOO=x\nPGHOST=h\nPGSTREAM_API_TOKEN=${FOO}"] }), [])
  })
  it("refuse what would change what is sent, in the environment too", () => {
    for (const [name, value] of [["PGSTREAM_FILTER_INCLUDE_TABLES", "a"], ["PGSTREAM_TRANSFORMER_RULES_FILE", "r.yaml"], ["PGSTREAM_KAFKA_WRITER_SERVERS", "k"], ["PGSTREAM_POSTGRES_WRITER_TARGET_URL", "p"], ["PGSTREAM_POSTGRES_REPLICATION_PLUGIN_INCLUDE_XIDS", "true"]] as const) {
      const found = problems(withEnv({ [name]: value }))
      assert.lengthOf(found, 1)
      assert.include(found[0], `${name}  would change what is sent`)
    }
    assert.deepStrictEqual(problems(withEnv({ PGSTREAM_STDOUT_WRITER_ENABLED: "false" })), [])
  })
  it("are only warnings for what tunes or observes", () => {
    const found = warnings(withEnv({ PGSTREAM_METRICS_ENDPOINT: "localhost:4317", PGSTREAM_PROCESSOR_SANITIZE_STRIP_NULL_CHAR_BYTES: "true" }))
    assert.deepStrictEqual(found.map((line) => line.split("  ")[1]), ["PGSTREAM_METRICS_ENDPOINT", "PGSTREAM_PROCESSOR_SANITIZE_STRIP_NULL_CHAR_BYTES"])
  })
  it("include a missing source and target, as far as the command needs them", () => {
    assert.include(problems({}).join("\n"), "need at least one listener configured")
    assert.include(problems({ env: { PGSTREAM_POSTGRES_LISTENER_URL: url } })[0], "need at least one processor configured")
    assert.deepStrictEqual(problems({ env: { PGSTREAM_POSTGRES_LISTENER_URL: url }, target: false }), [])
  })
})

describe("a file that is not what it should be", () => {
  it("with an error of syntax: that alone, not what would be missing because of it", () => {
    assert.deepStrictEqual(problems({ file: ["pg.yaml", "source:\n  postgres:\n    url: a\n    url: b\n"] }), ["pg.yaml:4  is not valid YAML: Map keys must be unique"])
    assert.deepStrictEqual(problems({ file: ["x.env", "PGSTREAM_LOG_LEVEL\n"] }), ["x.env:1  is no KEY=VALUE line"])
  })
  it("a variable twice in an env file: the last holds, and a line says so", () => {
    const from: Given = { env: listener, file: ["x.env", "PGSTREAM_LOG_LEVEL=info\nPGSTREAM_LOG_LEVEL=debug\n"] }
    assert.strictEqual(settings(from).log.level, "debug")
    assert.deepStrictEqual(warnings(from), ["x.env:2  PGSTREAM_LOG_LEVEL  is in line 1, too; the last one holds"])
  })
  it("byte order mark and CRLF make no difference", () => {
    const lines = [`PGSTREAM_POSTGRES_LISTENER_URL="${url}"`, `PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL=${url}`, "PGSTREAM_LOG_LEVEL=debug", ""]
    assert.strictEqual(settings({ file: ["x.env", `\uFEFF${lines.join("\r\n")}`] }).log.level, "debug")
    assert.strictEqual(settings({ env: listener, file: ["x.yaml", "\uFEFFlogging:\r\n  level: debug\r\n"] }).log.level, "debug")
  })
})
