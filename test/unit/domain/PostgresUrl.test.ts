import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as PostgresUrl from "../../../src/domain/PostgresUrl.ts"

const parse = (url: string, env: PostgresUrl.Variables = {}) => PostgresUrl.parse(Redacted.make(url), env)
const ok = (url: string, env: PostgresUrl.Variables = {}) => Result.getOrThrow(parse(url, env))
const secret = (target: PostgresUrl.ConnectionTarget) => target.password && Redacted.value(target.password)
const failure = (url: string, env: PostgresUrl.Variables = {}) => {
  const result = parse(url, env)
  if (Result.isSuccess(result)) throw new Error("it was accepted")
  return result.failure
}

describe("PostgresUrl", () => {
  for (const scheme of ["postgres", "postgresql", "POSTGRES"]) {
    for (const tail of ["", "?", "?sslmode=disable", "?sslmode=disable&"]) {
      it(`reads ${scheme}:// with ${JSON.stringify(tail)}`, () => {
        const target = ok(`${scheme}://me:pw@db.example:5433/app${tail}`)
        assert.deepStrictEqual(target.hosts, [{ host: "db.example", port: 5433 }])
        assert.deepStrictEqual([target.user, secret(target), target.database], ["me", "pw", "app"])
        assert.strictEqual(target.sslMode, tail.includes("sslmode") ? "disable" : "prefer")
      })
    }
  }

  for (const url of ["postgres://me@h", "postgres://me@h/", "postgres://me@h?sslmode=disable", "postgres://me@h/?sslmode=disable"]) {
    it(`takes the database postgres, not the user's name, for ${url}`, () => assert.strictEqual(ok(url).database, "postgres"))
  }

  const passwords: ReadonlyArray<readonly [string, string]> = [
    ["p%40ss%2Fw%3Frd%23%25", "p@ss/w?rd#%"], ["p@ss", "p@ss"], ["a:b:c", "a:b:c"], ["a#b&c=d", "a#b&c=d"],
    ["%C3%A4%20%2B+", "ä ++"], ["$(x)'\"\\", "$(x)'\"\\"]
  ]
  for (const [written, meant] of passwords) {
    it(`reads the password ${written}`, () => {
      const target = ok(`postgres://me:${written}@h:1/d?sslmode=require`)
      assert.deepStrictEqual([secret(target), target.hosts, target.sslMode], [meant, [{ host: "h", port: 1 }], "require"])
    })
  }

  it("reads several hosts, IPv6 and a default port", () => {
    assert.deepStrictEqual(ok("postgres://me@h1:1,[::1]:2,[fe80::1],h4/d").hosts, [
      { host: "h1", port: 1 }, { host: "::1", port: 2 }, { host: "fe80::1", port: 5432 }, { host: "h4", port: 5432 }
    ])
  })

  it("reads Unix sockets in both forms", () => {
    const expected = [{ host: "/var/run/postgresql", port: 5433 }]
    assert.deepStrictEqual(ok("postgres://me@%2Fvar%2Frun%2Fpostgresql:5433/d").hosts, expected)
    assert.deepStrictEqual(ok("postgres:///d?host=/var/run/postgresql&port=5433&user=me").hosts, expected)
    assert.deepStrictEqual(ok("postgres://me@/d?host=/var/run/postgresql", { PGPORT: "5433" }).hosts, expected)
  })

  it("reads hosts and ports of the query, one port for all", () => {
    assert.deepStrictEqual(ok("postgres://me@/d?host=a,b&port=7").hosts, [{ host: "a", port: 7 }, { host: "b", port: 7 }])
    assert.strictEqual(failure("postgres://me@/d?host=a,b,c&port=7,8").part, "port")
  })

  it("fills what the URL leaves out from the PG* variables, and nothing else", () => {
    const env = {
      PGHOST: "envhost", PGPORT: "6000", PGUSER: "envuser", PGPASSWORD: "envpw", PGDATABASE: "envdb", PGSSLMODE: "verify-full",
      PGSSLROOTCERT: "/r.pem", PGSSLCERT: "/c.pem", PGSSLKEY: "/k.pem", PGAPPNAME: "app", PGOPTIONS: "-c a=b", PGCONNECT_TIMEOUT: "3"
    }
    const target = ok("postgres://", env)
    assert.deepStrictEqual(
      [target.hosts, target.user, secret(target), target.database, target.sslMode, target.sslRootCert, target.sslCert, target.sslKey, target.applicationName, target.options, target.connectTimeoutSeconds],
      [[{ host: "envhost", port: 6000 }], "envuser", "envpw", "envdb", "verify-full", "/r.pem", "/c.pem", "/k.pem", "app", "-c a=b", 3]
    )
    const own = ok("postgres://me:pw@h:1/d?sslmode=disable&application_name=x", env)
    assert.deepStrictEqual([own.hosts, own.user, secret(own), own.database, own.sslMode, own.applicationName], [[{ host: "h", port: 1 }], "me", "pw", "d", "disable", "x"])
    assert.deepStrictEqual(ok("postgres://me@h/d", env).hosts, [{ host: "h", port: 6000 }])
    assert.strictEqual(ok("postgres://h/d", { USER: "os" }).user, "os")
  })

  it("keeps settings as parameters, and passes over what libpq and pgx know without effect", () => {
    const target = ok("postgres://me@h/d?search_path=app&pool_max_conns=4&keepalives=1&channel_binding=prefer&statement_timeout=5")
    assert.deepStrictEqual(target.parameters, { search_path: "app", statement_timeout: "5" })
  })

  const bad: ReadonlyArray<readonly [string, string]> = [
    ["mysql://me:hunter2@h/d", "scheme"], ["me:hunter2@h/d", "scheme"], ["postgres://me:hunter2@h:99999/d", "port"],
    ["postgres://me:hunter2/x@h:1/d", "port"], ["postgres://me:hunter2%zz@h/d", "password"], ["postgres://me:hunter2%00@h/d", "password"],
    ["postgres://me:hunter2@[::1/d", "host"], ["postgres://me:hunter2@h/d?sslmode=hunter2", "sslmode"],
    ["postgres://me:hunter2@h/d?channel_binding=require", "channel_binding"], ["postgres://me:hunter2@h/d?sslcrl=hunter2", "sslcrl"],
    ["postgres://me:hunter2@h/d?connect_timeout=hunter2", "connect_timeout"], ["postgres://me:x?hunter2@h/d", "query"], ["postgres://me@h/d?hunter2=%zz", "query"],
    ["postgres://me:hunter2@h/d?sslmod=require", "query"], ["postgres://:hunter2@h/d", "user"], ["postgres://me:hunter2@h/d?x", "query"]
  ]
  for (const [url, part] of bad) {
    it(`names ${part} in ${url}, without the password`, () => {
      const error = failure(url)
      assert.strictEqual(error.part, part)
      assert.notInclude(`${error.message} ${JSON.stringify(error)} ${String(error)}`, "hunter2")
    })
  }

  it("describes without the password, and writes a URL that reads back to the same", () => {
    const url = "postgres://m%20e:p%40%2F@a:1,[::1]:2,%2Frun:3/d%2Fb?sslmode=verify-ca&sslrootcert=/r%20x&sslpassword=s%26&options=-c%20a=b&connect_timeout=3&search_path=app"
    const target = ok(url)
    assert.strictEqual(PostgresUrl.describe(target), "postgres://m%20e@a:1,[::1]:2,%2Frun:3/d%2Fb?sslmode=verify-ca")
    const again = Result.getOrThrow(PostgresUrl.parse(PostgresUrl.toUrl(target)))
    const plain = (t: PostgresUrl.ConnectionTarget) => ({ ...t, password: secret(t), sslPassword: t.sslPassword && Redacted.value(t.sslPassword) })
    assert.deepStrictEqual(plain(again), plain(target))
    assert.notInclude(JSON.stringify(target), "p@/")
  })
})
