/** `status` names each endpoint that gets nothing, why, and the command that mends it. */
import * as Redacted from "effect/Redacted"
import { assert, it } from "vitest"
import * as Sending from "../../src/domain/Sending.ts"
import { seal } from "../../src/layers/postgres/store/EndpointSecrets.ts"
import { Seals } from "../../src/layers/postgres/store/Seals.ts"
import { pgstream } from "../support/cli.ts"
import { testDatabase } from "../support/database.ts"
import { init, status } from "../support/setup.ts"

const database = testDatabase("status_endpoints")
const sealedDatabase = testDatabase("status_sealed")
const slot = "status_endpoints_slot"

it("opens secrets with the key that is set", async () => {
  const key = Buffer.alloc(32, 7)
  const env = { PGSTREAM_POSTGRES_LISTENER_URL: sealedDatabase.url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: sealedDatabase.url, PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: "status_sealed_slot" }
  const run = (keys: Record<string, string>, ...args: ReadonlyArray<string>) => pgstream(args, { ...env, ...keys })
  assert.strictEqual((await run({}, "init")).code, 0)
  sealedDatabase.psql("INSERT INTO pgstream.webhook_subscriptions(url) VALUES ('http://sealed.example/')")
  const id = sealedDatabase.psql("SELECT id FROM pgstream.webhook_endpoints").trim()
  const sealed = seal(new Seals({ key: Redacted.make(key), previous: [] }), id, Sending.empty)
  sealedDatabase.psql(`INSERT INTO pgstream.webhook_endpoint_secrets(endpoint_id, content) VALUES ('${id}', '\\x${Buffer.from(sealed).toString("hex")}')`)
  const withKey = await run({ PGSTREAM_SECRET_KEY: key.toString("base64") }, "status")
  assert.notInclude(withKey.stdout, "SecretKeyUnknown")
  assert.include((await run({}, "status")).stdout, "SecretKeyUnknown")
})

it("names what is paused, disabled, suspended, failing, and what has secrets that do not open", async () => {
  await init(database.url, slot)
  const add = (name: string) =>
    database.psql(`INSERT INTO pgstream.webhook_subscriptions(url) VALUES ('http://user:secret@${name}.example/x?token=secret')`)
  const idOf = (name: string) => database.psql(`SELECT id FROM pgstream.webhook_endpoints WHERE url LIKE '%${name}.example%'`).trim()
  const put = (name: string, columns: string, values: string) => {
    add(name)
    database.psql(`INSERT INTO pgstream.endpoint_streams(stream, endpoint_id, ${columns}) SELECT stream, '${idOf(name)}', ${values} FROM pgstream.checkpoint`)
  }
  add("fine")
  put("paused", "paused, paused_reason", "true, 'paused by an operator'")
  put("disabled", "disabled_reason, disabled_at, failing_since", "'its receiver answered 410 Gone', '2026-09-01T10:00:00Z', '2026-08-31T10:00:00Z'")
  put("suspended", "suspended_reason, suspended_at, disabled_reason, disabled_at", "'10 GiB wait', '2026-09-02T10:00:00Z', '410', '2026-09-01T10:00:00Z'")
  put("failing", "failing_since", "'2026-09-03T10:00:00Z'")
  put("hiccup", "failing_since", "now()")
  add("sealed")
  database.psql(`INSERT INTO pgstream.webhook_endpoint_secrets(endpoint_id, content) VALUES ('${idOf("sealed")}', '\\x00'::bytea || convert_to('pgs1', 'UTF8') || decode(repeat('ab', 60), 'hex'))`)
  const report = await status(database.url, slot)
  assert.deepStrictEqual(report.findings.map(({ code, mend, summary }) => [code, summary, mend]).slice(0, 3), [
    ["EndpointSuspended", "1 endpoint suspended, events are numbered and not kept: http://suspended.example/x (10 GiB wait, since 2026-09-02T10:00:00Z)",
      `Mend the receiver, then:\npgstream subscriptions resume ${idOf("suspended")}`],
    ["EndpointDisabled", "1 endpoint disabled, events are kept and not sent: http://disabled.example/x (its receiver answered 410 Gone, since 2026-09-01T10:00:00Z)",
      `Mend the receiver, then:\npgstream subscriptions resume ${idOf("disabled")}`],
    ["EndpointFailing", "1 endpoint accepted nothing of late: http://failing.example/x (failing, since 2026-09-03T10:00:00Z)",
      "Mend the receiver: what waits is sent by itself. Why it fails:   pgstream deliveries list --state failed"]
  ])
  const unreadable = report.findings[3]!
  assert.strictEqual(unreadable.code, "SecretKeyUnknown")
  assert.match(unreadable.summary, /the secrets of 1 endpoint do not open, events are kept and not sent: http:\/\/sealed\.example\/x/)
  assert.match(unreadable.mend, /PGSTREAM_SECRET_KEY/)
  assert.lengthOf(report.findings, 4)
  assert.include(report.notes.join("\n"), `http://paused.example/x (paused by an operator; to send: pgstream subscriptions resume ${idOf("paused")})`)
  assert.notInclude(JSON.stringify(report), "secret@")
  assert.notInclude(JSON.stringify(report), "token=")
})
