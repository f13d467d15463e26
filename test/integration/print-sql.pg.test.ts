/** `init --print-sql`: what it prints, run by an administrator, lets a poor role do the rest; and gives it no more. */
import { afterAll, assert, describe, it } from "vitest"
import { makeProgram, subscribe, type Program } from "../support/binary.ts"
import { pgstream } from "../support/cli.ts"
import { eventually, testDatabase, type TestDatabase } from "../support/database.ts"
import { startReceiver } from "../support/Receiver.ts"
import { OpenSession, startSession } from "../support/sessions.ts"

const whole = testDatabase("print_whole")
const listed = testDatabase("print_listed")
const earlier = testDatabase("print_earlier")
const receiver = await startReceiver({ answer: () => ({ status: 200 }) })
afterAll(() => receiver.close())

/** A name that has to be quoted. */
const poorOf = (database: TestDatabase) => `Poor-${database.name}`
const urlOf = (database: TestDatabase) => database.url.replace("postgres:postgres@", `${poorOf(database)}@`)
const [program, listing] = await Promise.all([whole, listed].map((database) => makeProgram({ url: urlOf(database), slot: `${database.name}_slot` }))) as [Program, Program]

const roles: Array<readonly [TestDatabase, string]> = []
afterAll(() => {
  for (const [database, role] of roles) database.psql(`DROP OWNED BY "${role}" CASCADE; DROP ROLE "${role}"`)
})

/** `Poor-…` with nothing but LOGIN; and `…_owner`, who owns a table with a key and one without. */
const makeRoles = (database: TestDatabase): { readonly poor: string; readonly owner: string } => {
  const owner = `${database.name}_owner`
  const poor = poorOf(database)
  database.psql(`CREATE ROLE ${owner} LOGIN; CREATE ROLE "${poor}" LOGIN; GRANT ALL ON SCHEMA public TO ${owner};
    SET ROLE ${owner}; CREATE TABLE keyed(id int PRIMARY KEY, v text); CREATE TABLE keyless(v text)`)
  roles.push([database, owner], [database, poor])
  return { owner, poor }
}

const printed = async (program: Program, ...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await program.command("init", "--print-sql", ...args)
  assert.strictEqual(code, 0, stderr)
  return stdout
}
/** What init told the person besides. */
const notes = (stderr: string) => stderr.split("\n").filter((line) => line.startsWith("NOTE"))
/** Without comments. */
const statements = (script: string) => script.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("--")).join("\n")
const allowed = (database: TestDatabase, role: string, sql: string): string => {
  try {
    return database.psql(`SET ROLE "${role}"; ${sql}`)
  } catch (error) {
    return /ERROR: +(.*)/.exec(error instanceof Error ? error.message : "")?.[1] ?? "?"
  }
}

describe("for a superuser to run", () => {
  it("covers every table; the role can init, status and run, and nothing else", async () => {
    const { owner, poor } = makeRoles(whole)
    const refused = await program.command("init")
    assert.strictEqual(refused.code, 4)
    assert.include(refused.stderr, "pgstream init --print-sql")
    whole.psql(await printed(program))
    // As long as the slot is not made, nothing else is missing.
    assert.include(await printed(program), "Nothing is missing")

    assert.deepStrictEqual(notes((await program.init()).stderr), [])
    const status = await program.command("status")
    assert.strictEqual(status.code, 0, status.stdout)
    assert.strictEqual(whole.psql(`SELECT puballtables FROM pg_publication`).trim(), "t")
    const running = await program.run()
    assert.strictEqual((await subscribe(program, { url: receiver.url, schema: "public" })).status, 201)
    whole.psql(`SET ROLE ${owner}; UPDATE keyless SET v = 'x'; INSERT INTO keyless VALUES ('a'); UPDATE keyless SET v = 'b';
      CREATE TABLE later(v text); INSERT INTO later VALUES ('c'); UPDATE later SET v = 'd'; DELETE FROM later;`)
    await eventually("five events", () => receiver.accepted.size >= 5)
    assert.strictEqual((await running.stop()).code, 0)
    assert.notMatch(running.stderr(), / (WRN|ERR) /)

    assert.match(allowed(whole, poor, "CREATE TABLE pgstream.mine(v int)"), /permission denied for schema pgstream/)
    assert.match(allowed(whole, poor, "CREATE OR REPLACE FUNCTION pgstream.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"), /permission denied/)
    assert.match(allowed(whole, poor, "DELETE FROM pgstream.migrations_source"), /permission denied/)
    assert.match(allowed(whole, poor, "SELECT count(*) FROM keyed"), /permission denied/)
    assert.match(allowed(whole, owner, "SELECT pgstream.make_full('keyed'::regclass, true)"), /permission denied/)
  }, 120_000)

  it("prints only what has gone missing since, and the script waits for older transactions", async () => {
    const poor = poorOf(whole)
    whole.psql(`REVOKE ALL ON SCHEMA pgstream FROM "${poor}"`)
    const grants = await printed(program)
    assert.include(grants, `GRANT USAGE ON SCHEMA pgstream TO "${poor}"`)
    assert.notInclude(statements(grants), "CREATE")
    whole.psql(grants)
    whole.psql(`DROP EVENT TRIGGER pgstream_ddl; ALTER TABLE keyless REPLICA IDENTITY DEFAULT`)
    const mend = await printed(program)
    assert.match(mend, /CREATE EVENT TRIGGER pgstream_ddl/)
    assert.notInclude(mend, "CREATE SCHEMA")
    assert.notInclude(mend, "CREATE PUBLICATION")
    const older = new OpenSession(whole.name)
    await older.run("BEGIN; SELECT 1;")
    const script = startSession(whole.name, mend)
    await eventually("the script waits", () => whole.psql(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DO $wait$%' AND state = 'active'`).trim() === "1")
    assert.strictEqual(whole.psql(`SELECT relreplident FROM pg_class WHERE relname = 'keyless'`).trim(), "d")
    await older.run("COMMIT;")
    older.end()
    assert.isTrue((await script).ok)
    assert.strictEqual(whole.psql(`SELECT relreplident FROM pg_class WHERE relname = 'keyless'`).trim(), "f")
    assert.include(await printed(program), "Nothing is missing")
    assert.strictEqual((await program.command("status")).code, 0)
  }, 60_000)
})

describe("where there is no superuser", () => {
  it("the lines at the end are enough for the listed publications", async () => {
    const { owner, poor } = makeRoles(listed)
    const script = await printed(listing)
    const lines = script.slice(script.indexOf("-- Where there is no superuser")).split("\n").filter((line) => /^-- (ALTER|GRANT) /.test(line))
    assert.deepStrictEqual(lines.map((line) => line.replace(/;.*/, "")), [
      `-- ALTER ROLE "${poor}" REPLICATION`, `-- GRANT CREATE ON DATABASE "${listed.name}" TO "${poor}"`, `-- GRANT "${owner}" TO "${poor}"`
    ])
    listed.psql(lines.map((line) => line.slice(3)).join("\n"))
    const { stderr } = await listing.init()
    assert.notInclude(stderr, "Not published")
    assert.include(stderr, "pgstream init --print-sql")
    assert.strictEqual(listed.psql(`SELECT tablename FROM pg_publication_tables WHERE pubname = 'pgstream' AND schemaname = 'public' ORDER BY 1`).trim(), "keyed\nkeyless")
    // Its functions may be replaced by that role: no event trigger may ever call them.
    const after = await printed(listing)
    assert.include(after, "must not call its functions")
    assert.notInclude(after, "EVENT TRIGGER pg")
  }, 60_000)

  it("a superuser's init makes no event trigger that calls functions of a role that is none", async () => {
    const { poor } = makeRoles(earlier)
    const url = urlOf(earlier)
    earlier.psql(`ALTER ROLE "${poor}" REPLICATION; GRANT CREATE ON DATABASE "${earlier.name}" TO "${poor}"`)
    const slot = `print_earlier_${process.pid}`
    assert.strictEqual((await pgstream(["init", "--postgres-url", url, "--replication-slot", slot])).code, 0)
    const again = await pgstream(["init", "--postgres-url", earlier.url, "--replication-slot", slot])
    assert.strictEqual(again.code, 0, again.stderr)
    assert.match(again.stderr, /Schema pgstream belongs to a role that is no superuser, which could replace/)
    assert.strictEqual(earlier.psql(`SELECT count(*) FROM pg_event_trigger`).trim(), "0")
    assert.strictEqual((await pgstream(["destroy", "--postgres-url", earlier.url, "--replication-slot", slot])).code, 0)
  }, 60_000)
})

it("says that a superuser needs nothing, and refuses nothing without a slot or schema", async () => {
  const { code, stdout } = await pgstream(["init", "--print-sql", "--postgres-url", earlier.url])
  assert.strictEqual(code, 0)
  assert.include(stdout, "A superuser: pgstream init needs nothing more")
  assert.strictEqual(statements(stdout), "")
})
