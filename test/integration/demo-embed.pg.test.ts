/** `examples/embed`, as a process: a Notifier of one's own inside another Effect program. And two in one process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, it } from "vitest"
import { Layers, load, pipelineLayer, SubscriptionStore, usable } from "../../src/index.ts"
import { launch, pgstream, type Running } from "../support/cli.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { freePort } from "../support/PostgresServer.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("embed")
const slot = `embed_${process.pid}`
const env = {
  PGSTREAM_POSTGRES_LISTENER_URL: database.url, PGSTREAM_POSTGRES_REPLICATION_SLOT_NAME: slot,
  PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${await freePort()}`, PGSTREAM_HEALTH_CHECK_ENABLED: "false"
}
const started: Array<Running> = []
afterAll(async () => {
  for (const running of started) running.child.kill("SIGTERM")
  await Promise.all(started.map((running) => running.ended))
})
const embed = () => {
  const running = launch([], env, process.cwd(), join(process.cwd(), "examples/embed/embed.ts"))
  started.push(running)
  return running
}
const seen = (running: Running, line: string) =>
  eventually(line, () => {
    if (running.child.exitCode !== null) throw new Error(running.stderr() + running.stdout())
    return running.stdout().split("\n").includes(line)
  })

it("hands each change to the program's own function, and goes on after a stop behind what is settled", async () => {
  assert.strictEqual((await pgstream(["init"], env)).code, 0)
  database.psql("CREATE TABLE pets (id int PRIMARY KEY); INSERT INTO pets VALUES (1)")
  const first = embed()
  await seen(first, "I public.pets")
  await seen(first, "I pgstream.schema_log")
  const end = database.psql("SELECT pg_current_wal_lsn()").trim()
  await eventually("the position is acknowledged", () =>
    database.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots WHERE slot_name = '${slot}'`).trim() === "t")
  first.child.kill("SIGTERM")
  await first.ended
  database.psql("UPDATE pets SET id = 2")
  const second = embed()
  await seen(second, "U public.pets")
  assert.notInclude(second.stdout(), "I public.pets")
}, 60_000)

it("has its own store below the Layers of another one", async () => {
  const [outside, folder] = [testDatabase("embed_outside"), mkdtempSync(join(tmpdir(), "pgstream-embed-"))]
  try {
    assert.strictEqual((await pgstream(["init"], env)).code, 0)
    const file = join(folder, "inside.env")
    const own = { ...env, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: database.url, PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${await freePort()}` }
    writeFileSync(file, Object.entries(own).map(([name, value]) => `${name}="${value}"\n`).join(""))
    const settings = await Effect.runPromise(Effect.flatMap(load({ file, flags: {}, needTarget: false }), usable))
    const subscribe = (url: string) => SubscriptionStore.use((store) => store.subscribe({ url, schema: "", table: "" }, []))
    await Effect.runPromise(
      Effect.andThen(subscribe("http://outside/"), Effect.provide(subscribe("http://inside/"), pipelineLayer(settings))).pipe(
        Effect.provide(Layers.SubscriptionStorePg.layer.pipe(Layer.provide(migratedStore(outside.url))))
      )
    )
    const urls = (of: typeof database) => of.psql("SELECT url FROM pgstream.webhook_subscriptions").trim()
    assert.deepStrictEqual([urls(outside), urls(database)], ["http://outside/", "http://inside/"])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)
