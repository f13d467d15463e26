/**
 * Sessions that change tables at random while they are copied: inserts, updates with and without the value that is stored
 * outside of the row, deletes, changes of keys and of partitions, savepoints, two-phase commit, DDL, VACUUM FULL, TRUNCATE.
 * Each session has rows of its own, so none waits for another's for long; no DDL changes values.
 */
import type { Random } from "../simulation/Random.ts"
import { OpenSession } from "./sessions.ts"

export const copyTables = (rows: number): string => `
  CREATE SEQUENCE stamps;
  CREATE TABLE wide(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), n int, pad text); ALTER TABLE wide ALTER COLUMN pad SET STORAGE EXTERNAL;
  CREATE TABLE parts(k text, id int, stamp bigint DEFAULT nextval('stamps'), n int, pad text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
  CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a', 'A'); CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
  ALTER TABLE parts_a ALTER COLUMN pad SET STORAGE EXTERNAL; ALTER TABLE parts_b ALTER COLUMN pad SET STORAGE EXTERNAL;
  CREATE TABLE small(id int PRIMARY KEY, stamp bigint DEFAULT nextval('stamps'), n int, pad text);
  INSERT INTO wide SELECT g, nextval('stamps'), g, repeat(chr(65 + g % 26), CASE g % 4 WHEN 0 THEN 2500 ELSE 10 END) FROM generate_series(0, ${rows - 1}) g;
  INSERT INTO parts SELECT (ARRAY['a', 'b', 'A'])[1 + g % 3], g, nextval('stamps'), g, repeat('p', CASE g % 3 WHEN 0 THEN 2500 ELSE 10 END) FROM generate_series(0, ${rows - 1}) g;
  INSERT INTO small SELECT g, nextval('stamps'), g, 's' FROM generate_series(0, 49) g;`

const stamp = "stamp = nextval('stamps')"

class Writer {
  readonly #random: Random
  readonly #n: number
  readonly #writers: number
  readonly #rows: number
  readonly #database: string
  #made = 0

  constructor(random: Random, n: number, writers: number, rows: number, database: string) {
    this.#random = random
    this.#n = n
    this.#writers = writers
    this.#rows = rows
    this.#database = database
  }

  /** A row of this session's. */
  #id(): number {
    return this.#random.int(0, Math.floor(this.#rows / this.#writers) - 1) * this.#writers + this.#n
  }

  #pad(): string {
    return this.#random.chance(0.4) ? `repeat('${this.#random.int(0, 9)}', 2500)` : `'${this.#random.int(0, 999)}'`
  }

  #statement(): string {
    const id = this.#id()
    const next = this.#rows + this.#made++ * this.#writers + this.#n
    switch (this.#random.int(0, 9)) {
      case 0: return `INSERT INTO wide VALUES (${next}, DEFAULT, 1, ${this.#pad()})`
      case 1: return `DELETE FROM wide WHERE id = ${id}`
      case 2: return `UPDATE wide SET id = ${next}, ${stamp} WHERE id = ${id}`
      case 3: return `UPDATE wide SET id = ${-next}, ${stamp} WHERE id = ${id}`
      case 4: return `UPDATE wide SET ${stamp}, pad = ${this.#pad()} WHERE id = ${id}`
      case 5: return `UPDATE parts SET k = '${this.#random.pick(["a", "b", "A"])}', ${stamp} WHERE id = ${id}`
      case 6: return `UPDATE parts SET ${stamp}, n = ${next} WHERE id = ${id}`
      case 7: return `DELETE FROM parts WHERE id = ${id}`
      case 8: return `UPDATE small SET ${stamp} WHERE id = ${id % 50} AND id % ${this.#writers} = ${this.#n}`
      default: return `UPDATE wide SET ${stamp} WHERE id BETWEEN ${id} AND ${id + 40} AND id % ${this.#writers} = ${this.#n}`
    }
  }

  #ddl(): string {
    const made = `c${this.#n}_${this.#made++}`
    switch (this.#random.int(0, 5)) {
      case 0: return `ALTER TABLE wide ADD COLUMN ${made} text DEFAULT 'd';`
      case 1: return "VACUUM FULL wide;"
      case 2: return "ALTER TABLE wide ALTER COLUMN n TYPE bigint;"
      case 3: return "ALTER TABLE wide ALTER COLUMN n TYPE int;"
      case 4: return `TRUNCATE small; INSERT INTO small SELECT g, nextval('stamps'), g, 't' FROM generate_series(0, 49) g;`
      default: return "VACUUM FULL parts_a;"
    }
  }

  next(): string {
    const chance = this.#random.int(0, 999)
    if (chance < 8 && this.#n === 0) return this.#ddl()
    if (chance < 600) return `${this.#statement()};`
    if (chance < 800) return `BEGIN; ${this.#statement()}; SAVEPOINT a; ${this.#statement()}; ${this.#random.chance(0.5) ? "ROLLBACK TO a" : "RELEASE a"}; ${this.#statement()}; COMMIT;`
    const name = `${this.#database}_${this.#n}_${this.#made++}`
    return `BEGIN; ${this.#statement()}; ${this.#statement()}; PREPARE TRANSACTION '${name}'; ${this.#random.chance(0.8) ? "COMMIT" : "ROLLBACK"} PREPARED '${name}';`
  }
}

export interface CopyLoad {
  readonly written: number
  stop(): Promise<void>
}

export const startCopyLoad = (database: string, randoms: ReadonlyArray<Random>, rows: number, pauseMs: number): CopyLoad => {
  const state = { written: 0, stopping: false }
  const writers = randoms.map(async (random, n) => {
    const session = new OpenSession(database)
    const writer = new Writer(random, n, randoms.length, rows, database)
    await session.run("\\set ON_ERROR_STOP off\nSET lock_timeout = '20s';")
    try {
      while (!state.stopping) {
        await session.run(writer.next())
        state.written++
        await new Promise((resolve) => setTimeout(resolve, random.int(0, pauseMs)))
      }
    } finally {
      await session.end()
    }
  })
  return {
    get written() {
      return state.written
    },
    stop: async () => {
      state.stopping = true
      await Promise.all(writers)
    }
  }
}
