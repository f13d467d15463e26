/** A PgBouncer in the URL is found out and explained, whatever it lets through. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inject } from "vitest"
import { createSlot, identifySystem } from "../../src/layers/postgres/replication/createSlot.ts"
import * as SlotSource from "../../src/layers/postgres/replication/SlotSource.ts"
import * as SlotSourcePglr from "../../src/layers/postgres/replication/SlotSourcePglr.ts"
import { ChangeSource } from "../../src/services/ChangeSource.ts"
import { eventually } from "../support/database.ts"
import { freePort } from "../support/PostgresServer.ts"
import { settings, withSettings } from "../support/slots.ts"

const PGBOUNCER = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find((path) => existsSync(path))

const canConnect = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

interface Bouncer {
  readonly port: number
  readonly child: ChildProcess
  readonly dir: string
}

/** As the user postgres where this process is root: PgBouncer refuses to be. */
const startBouncer = async (ignored: string): Promise<Bouncer> => {
  const dir = mkdtempSync(join(tmpdir(), "pgstream-bouncer-"))
  const port = await freePort()
  const file = join(dir, "pgbouncer.ini")
  writeFileSync(join(dir, "users.txt"), "\"postgres\" \"postgres\"\n")
  writeFileSync(file, `[databases]
* = host=127.0.0.1 port=${inject("postgresPort")}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${dir}/users.txt
ignore_startup_parameters = ${ignored}
`)
  const owner = process.getuid?.() === 0 ? { uid: Number(execFileSync("id", ["-u", "postgres"])), gid: Number(execFileSync("id", ["-g", "postgres"])) } : undefined
  chmodSync(dir, 0o755)
  if (owner !== undefined) for (const path of [dir, file, join(dir, "users.txt")]) chownSync(path, owner.uid, owner.gid)
  const child = spawn(PGBOUNCER!, [file], { ...owner, stdio: "ignore" })
  await eventually("pgbouncer listens", () => canConnect(port))
  return { port, child, dir }
}

describe.skipIf(PGBOUNCER === undefined)("PgBouncer in the URL", () => {
  const pins = "synchronous_commit,datestyle,intervalstyle,bytea_output,extra_float_digits,timezone,lc_monetary,client_min_messages,search_path,statement_timeout,lock_timeout,options"
  const bouncers: Array<Bouncer> = []

  beforeAll(async () => {
    bouncers.push(await startBouncer("extra_float_digits"), await startBouncer(pins), await startBouncer(`${pins},replication`))
  })
  afterAll(async () => {
    for (const { child, dir } of bouncers) {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGTERM")
      await ended
      rmSync(dir, { recursive: true, force: true })
    }
  })

  for (const [index, what] of ["as installed", "that passes our settings over", "that passes the wish to replicate over, too"].entries()) {
    it.live(`is named: one ${what}`, () =>
      Effect.gen(function*() {
        const url = `postgres://postgres:postgres@127.0.0.1:${bouncers[index]!.port}/postgres?sslmode=disable`
        const errors = [
          yield* Effect.flip(identifySystem(Redacted.make(url))),
          yield* Effect.flip(Effect.scoped(createSlot(Redacted.make(url), { slotName: "never", plugin: "pgoutput" }))),
          yield* Effect.flip(Effect.flatMap(ChangeSource, (source) => source.identify).pipe(Effect.provide(withSettings(SlotSource.layer, settings(url, "never"))))),
          yield* Effect.flip(Effect.scoped(Effect.flatMap(ChangeSource, (source) => source.open(0)).pipe(Effect.provide(withSettings(SlotSourcePglr.layer, settings(url, "never"))))))
        ]
        for (const error of errors) {
          assert.deepStrictEqual([error.code, error.permanent], ["PoolerInUrl", true], error.message)
          assert.include(error.mend, "host and port")
        }
      }))
  }
})
