/**
 * Sessions that change tables at random, from a seed: rows of several tables, changes of keys, TRUNCATE, DDL, committed
 * and rolled back. A session with the same seed issues the same statements; how they interleave is the server's.
 *
 * No deadlock and no unique violation by construction: what holds several locks touches only rows of the session's own
 * range, in one order; what touches others' rows, or a whole table, is a transaction of one statement.
 */
import type { Random } from "../simulation/Random.ts"
import { OpenSession } from "./sessions.ts"

export const loadTables = `
  CREATE SEQUENCE stamps;
  CREATE TABLE accounts(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), pad text);
  CREATE TABLE orders(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), pad text);
  CREATE TABLE bulk(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), pad text);
  CREATE TABLE journal(id int, stamp bigint DEFAULT nextval('stamps'), pad text);
  ALTER TABLE orders ALTER COLUMN pad SET STORAGE EXTERNAL;`

const IDS_PER_WRITER = 20
/** Now and then the first writer makes a transaction of many rows, larger than one read from the slot (256 KiB). */
const BULK_EVERY = 40
const BULK_ROWS = 400
const keyed = ["accounts", "orders"] as const

const stampNow = "stamp = nextval('stamps')"

class Writer {
  private readonly random: Random
  private readonly n: number
  private readonly writers: number
  private made = 0
  private count = 0

  constructor(random: Random, n: number, writers: number) {
    this.random = random
    this.n = n
    this.writers = writers
  }

  private own(): number {
    return this.random.int(0, IDS_PER_WRITER - 1) * this.writers + this.n
  }

  private any(): number {
    return this.random.int(0, IDS_PER_WRITER * this.writers - 1)
  }

  /** A value of a few bytes, or one that is stored outside of its row. */
  private pad(): string {
    return this.random.int(0, 7) === 0 ? `repeat('${this.random.int(0, 9)}', 3000)` : `'${this.random.int(0, 999)}'`
  }

  private statement(table: string): string {
    const id = this.own()
    switch (this.random.int(0, 5)) {
      case 0:
      case 1:
      case 2:
        return `INSERT INTO ${table} VALUES (${id}, DEFAULT, ${this.pad()}) ON CONFLICT (id) DO UPDATE SET ${stampNow}`
      case 3:
        return `UPDATE ${table} SET ${stampNow}, pad = ${this.pad()} WHERE id IN (${id}, ${this.own()})`
      case 4: {
        const next = this.own()
        return `UPDATE ${table} SET id = ${next}, ${stampNow} WHERE id = ${id} AND NOT EXISTS (SELECT FROM ${table} WHERE id = ${next})`
      }
      default:
        return `DELETE FROM ${table} WHERE id = ${id}`
    }
  }

  private several(): string {
    const statements = keyed.flatMap((table) => Array.from({ length: this.random.int(0, 3) }, () => this.statement(table)))
    statements.push(`INSERT INTO journal VALUES (${this.own()}, DEFAULT, ${this.pad()})`)
    return `BEGIN; ${statements.join("; ")}; ${this.random.int(0, 5) === 0 ? "ROLLBACK" : "COMMIT"};`
  }

  private ddl(): string {
    const table = [...keyed, "journal"][this.random.int(0, 2)]!
    const name = `c${this.n}_${this.made++}`
    switch (this.random.int(0, 3)) {
      case 0: return `CREATE TABLE made_${name}(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps')); INSERT INTO made_${name} VALUES (1);`
      case 1: return `ALTER TABLE ${table} ADD COLUMN ${name} text DEFAULT 'd';`
      case 2: return `ALTER TABLE ${table} ALTER COLUMN pad TYPE varchar(${4000 + this.made});`
      default: return `ALTER TABLE ${table} ALTER COLUMN pad TYPE text;`
    }
  }

  next(): string {
    if (this.n === 0 && ++this.count % BULK_EVERY === 5) {
      return `INSERT INTO bulk(pad) SELECT repeat('b', 700) FROM generate_series(1, ${BULK_ROWS});`
    }
    const chance = this.random.int(0, 99)
    if (chance < 55) return this.several()
    if (chance < 80) return `UPDATE ${keyed[this.random.int(0, 1)]!} SET ${stampNow} WHERE id = ${this.any()};`
    if (chance < 90) return `DELETE FROM ${keyed[this.random.int(0, 1)]!} WHERE id = ${this.any()};`
    if (chance < 93) return `UPDATE journal SET ${stampNow} WHERE id = ${this.any()};`
    if (chance < 95) return `TRUNCATE ${[...keyed, "journal"][this.random.int(0, 2)]!};`
    return this.ddl()
  }
}

export interface Load {
  /** Ends after the transactions under way; fails if one of them did. */
  stop(): Promise<void>
}

/**
 * `pauseMs`: between two transactions of a writer, at most. `port`: of a server that is killed while they write; what a
 * session had under way then is committed or not, the other slot knows.
 */
export const startLoad = (database: string, randoms: ReadonlyArray<Random>, pauseMs: number, port?: number): Load => {
  const state = { stopping: false }
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  const writers = randoms.map(async (random, n) => {
    let session = new OpenSession(database, port)
    const writer = new Writer(random, n, randoms.length)
    const write = async () => {
      try {
        await session.run(writer.next())
      } catch (error) {
        if (port === undefined) throw error
        await session.end()
        await pause(50)
        session = new OpenSession(database, port)
      }
    }
    try {
      while (!state.stopping) {
        await write()
        await pause(random.int(0, pauseMs))
      }
    } finally {
      await session.end()
    }
  })
  const all = Promise.all(writers)
  all.catch(() => undefined)
  return {
    stop: async () => {
      state.stopping = true
      await all
    }
  }
}
