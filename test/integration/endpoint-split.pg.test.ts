/** Plain SQL that gives some rows of an endpoint another URL makes an endpoint with the same limits, without its secrets. */
import { assert, it } from "vitest"
import { testDatabase } from "../support/database.ts"
import { init } from "../support/setup.ts"

const { psql, url } = testDatabase("endpoint_split")

it("an endpoint that is split off keeps order, concurrency, rate, batches and compression", async () => {
  await init(url, "endpoint_split_slot")
  psql(`INSERT INTO pgstream.webhook_subscriptions(url, schema_name, table_name) VALUES ('http://one/', 'a', ''), ('http://one/', 'b', '')`)
  psql(`UPDATE pgstream.webhook_endpoints SET order_mode = 'none', concurrency = 3, rate = 20, batch_events = 10, batch_delay_ms = 50, gzip = true`)
  psql(`INSERT INTO pgstream.webhook_endpoint_secrets(endpoint_id, content) SELECT id, '{}' FROM pgstream.webhook_endpoints`)
  psql(`UPDATE pgstream.webhook_subscriptions SET url = 'http://two/' WHERE schema_name = 'b'`)
  const rows = psql(`SELECT url, order_mode, concurrency, rate, batch_events, batch_delay_ms, gzip FROM pgstream.webhook_endpoints ORDER BY url`)
  assert.strictEqual(rows.trim(), "http://one/|none|3|20|10|50|t\nhttp://two/|none|3|20|10|50|t")
  assert.strictEqual(psql(`SELECT e.url FROM pgstream.webhook_endpoint_secrets k JOIN pgstream.webhook_endpoints e ON e.id = k.endpoint_id`).trim(), "http://one/")
  psql(`INSERT INTO pgstream.webhook_subscriptions(url) VALUES ('http://three/')`)
  assert.strictEqual(psql(`SELECT order_mode, concurrency, rate, gzip FROM pgstream.webhook_endpoints WHERE url = 'http://three/'`).trim(), "key|||f")
})
