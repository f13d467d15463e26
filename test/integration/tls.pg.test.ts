/** TLS modes, authentication and special passwords, each against a real server, over both connections. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { copyFileSync, chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { identifySystem } from "../../src/layers/postgres/replication/createSlot.ts"
import { SourceError } from "../../src/services/ChangeSource.ts"
import * as Sql from "../../src/layers/postgres/Sql.ts"
import { type Certificates, clientKeyPassword, makeCertificates } from "../support/Certificates.ts"
import { type PostgresServer, startServer } from "../support/PostgresServer.ts"

const PASSWORD = "p@ss:w/rd?#% ä&"
const encoded = encodeURIComponent(PASSWORD)

let server: PostgresServer
let certificates: Certificates

beforeAll(async () => {
  certificates = makeCertificates("localhost", "certified")
  server = await startServer({
    hba: [
      "local all postgres trust",
      "local all scram scram-sha-256",
      "hostssl all certified all cert",
      "hostnossl all certified all reject",
      "host all md5 all md5",
      "host all clear all password",
      "hostssl all only_tls all scram-sha-256",
      "hostssl all postgres all trust",
      "hostnossl all postgres all trust",
      "host all all all scram-sha-256",
      ""
    ].join("\n")
  })
  const { gid, uid } = statSync(server.dataDir)
  for (const [from, to] of [[certificates.serverCert, "server.crt"], [certificates.serverKey, "server.key"], [certificates.ca, "root.crt"]] as const) {
    const path = join(server.dataDir, to)
    copyFileSync(from, path)
    chmodSync(path, 0o600)
    chownSync(path, uid, gid)
  }
  const literal = `'${PASSWORD}'`
  server.psql(`SET password_encryption = 'scram-sha-256'; CREATE ROLE scram LOGIN REPLICATION PASSWORD ${literal}; CREATE ROLE clear LOGIN REPLICATION PASSWORD ${literal};
    CREATE ROLE only_tls LOGIN REPLICATION PASSWORD ${literal}; CREATE ROLE certified LOGIN REPLICATION; CREATE ROLE plain LOGIN PASSWORD ${literal};
    SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN REPLICATION PASSWORD ${literal};`)
  for (const [name, value] of [["ssl", "on"], ["ssl_ca_file", "root.crt"]]) server.psql(`ALTER SYSTEM SET ${name} = '${value}'`)
  server.psql("SELECT pg_reload_conf()")
}, 120_000)

afterAll(async () => {
  await server.stop()
  certificates.remove()
})

const url = (userInfo: string, query: string, host = "localhost") => `postgres://${userInfo}@${host}:${server.port}/postgres?${query}`

/** Whether both connections came about, and were encrypted. */
const both = Effect.fnUntraced(function*(text: string) {
  const sql = yield* Sql.make(Redacted.make(text), "tls test")
  const [row] = yield* sql<{ readonly ssl: boolean }>`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`
  yield* identifySystem(Redacted.make(text))
  return row?.ssl
}, Effect.scoped)

/** What the replication connection says, once the SQL connection has failed, too. */
const refused = Effect.fnUntraced(function*(text: string) {
  yield* Effect.flip(Effect.scoped(Effect.flatMap(Sql.make(Redacted.make(text), "tls test"), (sql) => sql`SELECT 1`)))
  return yield* Effect.flip(identifySystem(Redacted.make(text)))
})

describe("TLS", () => {
  const encrypts: ReadonlyArray<readonly [string, () => string, boolean]> = [
    ["disable does not encrypt", () => url("postgres", "sslmode=disable"), false],
    ["allow encrypts where it can", () => url("postgres", "sslmode=allow"), true],
    ["prefer encrypts where it can", () => url("postgres", "sslmode=prefer"), true],
    ["no mode is prefer", () => url("postgres", ""), true],
    ["require encrypts and verifies nothing", () => url("postgres", "sslmode=require", "127.0.0.1"), true],
    ["require with an authority verifies it", () => url("postgres", `sslmode=require&sslrootcert=${certificates.ca}`, "127.0.0.1"), true],
    ["verify-ca verifies the authority, not the name", () => url("postgres", `sslmode=verify-ca&sslrootcert=${certificates.ca}`, "127.0.0.1"), true],
    ["verify-full verifies both", () => url("postgres", `sslmode=verify-full&sslrootcert=${certificates.ca}`), true],
    ["a client certificate logs in", () => url("certified", `sslmode=verify-full&sslrootcert=${certificates.ca}&sslcert=${certificates.clientCert}&sslkey=${certificates.clientKey}`), true],
    ["an encrypted key is opened", () => url("certified", `sslmode=verify-full&sslrootcert=${certificates.ca}&sslcert=${certificates.clientCert}&sslkey=${certificates.clientKeyEncrypted}&sslpassword=${encodeURIComponent(clientKeyPassword)}`), true],
    ["several hosts are tried in order, each with TLS", () => `postgres://postgres@localhost:1,localhost:${server.port}/postgres?sslmode=verify-full&sslrootcert=${certificates.ca}`, true],
    ["scram, with a password of special characters", () => url(`scram:${encoded}`, "sslmode=require"), true],
    ["scram without TLS", () => url(`scram:${encoded}`, "sslmode=disable"), false],
    ["scram over a Unix socket, whatever the mode", () => `postgres://scram:${encoded}@${encodeURIComponent(server.socketDir)}:${server.port}/postgres?sslmode=require`, false],
    ["md5", () => url(`md5:${encoded}`, "sslmode=disable"), false],
    ["a password in clear text", () => url(`clear:${encoded}`, "sslmode=disable"), false]
  ]
  for (const [name, text, ssl] of encrypts) {
    it.live(name, () => Effect.map(both(text()), (encrypted) => assert.strictEqual(encrypted, ssl)))
  }

  const fails: ReadonlyArray<readonly [string, () => string, string]> = [
    ["require with another authority", () => url("postgres", `sslmode=require&sslrootcert=${certificates.otherCa}`), "TlsFailed"],
    ["verify-ca with another authority", () => url("postgres", `sslmode=verify-ca&sslrootcert=${certificates.otherCa}`), "TlsFailed"],
    ["verify-ca without an authority trusts only public ones", () => url("postgres", "sslmode=verify-ca"), "TlsFailed"],
    ["verify-full with another name", () => url("postgres", `sslmode=verify-full&sslrootcert=${certificates.ca}`, "127.0.0.1"), "TlsFailed"],
    ["an authority's file that is not there", () => url("postgres", "sslmode=verify-full&sslrootcert=/no/such/file"), "TlsFailed"],
    ["a file that is no certificate", () => url("postgres", `sslmode=verify-full&sslrootcert=${certificates.ca}&sslcert=${certificates.ca}&sslkey=${certificates.ca}`), "TlsFailed"],
    ["no TLS where the server wants it", () => url(`certified:${encoded}`, "sslmode=disable"), "AuthenticationFailed"],
    ["a wrong password", () => url("scram:hunter2", "sslmode=require"), "AuthenticationFailed"],
    ["no password", () => url("scram", "sslmode=require"), "AuthenticationFailed"]
  ]
  for (const [name, text, code] of fails) {
    it.live(`refuses ${name}`, () =>
      Effect.map(refused(text()), (error) => {
        assert.deepStrictEqual([error.code, error.permanent], [code, true], error.message)
        assert.notStrictEqual(error.mend, "")
        assert.notInclude(error.message, "hunter2")
        assert.notInclude(error.message, encoded)
      }))
  }

  it.live("the verify modes trust ~/.postgresql/root.crt where the URL names no authority", () =>
    Effect.gen(function*() {
      const home = mkdtempSync(join(tmpdir(), "pgstream-home-"))
      const before = process.env["HOME"]
      yield* Effect.addFinalizer(() => Effect.sync(() => {
        process.env["HOME"] = before
        rmSync(home, { recursive: true })
      }))
      mkdirSync(join(home, ".postgresql"))
      process.env["HOME"] = home
      copyFileSync(certificates.ca, join(home, ".postgresql/root.crt"))
      assert.isTrue(yield* both(url("postgres", "sslmode=verify-full")))
      copyFileSync(certificates.otherCa, join(home, ".postgresql/root.crt"))
      assert.strictEqual((yield* refused(url("postgres", "sslmode=verify-full"))).code, "TlsFailed")
      assert.isTrue(yield* both(url("postgres", `sslmode=verify-full&sslrootcert=${certificates.ca}`)))
    }).pipe(Effect.scoped))

  it.live("a role without REPLICATION is told what it lacks", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(identifySystem(Redacted.make(url(`plain:${encoded}`, "sslmode=require"))))
      assert.deepStrictEqual([error.code, error.permanent], ["NoPrivilege", true])
    }))

  it.live("the SQL client hands on our own words", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(Effect.scoped(Effect.flatMap(
        Sql.make(Redacted.make(url("postgres", `sslmode=verify-full&sslrootcert=${certificates.otherCa}`)), "tls test"),
        (sql) => sql`SELECT 1`
      )))
      assert.instanceOf(failed.reason.cause, SourceError)
    }))
})

describe("a server that has no TLS", () => {
  it.live("is refused by require, and used by prefer", () =>
    Effect.gen(function*() {
      const plain = yield* Effect.acquireRelease(Effect.promise(() => startServer()), (plain) => Effect.promise(() => plain.stop()))
      const at = (mode: string) => `postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=${mode}`
      const error = yield* refused(at("require"))
      assert.deepStrictEqual([error.code, error.permanent], ["TlsFailed", true])
      assert.strictEqual(yield* both(at("prefer")), false)
    }).pipe(Effect.scoped))
})
