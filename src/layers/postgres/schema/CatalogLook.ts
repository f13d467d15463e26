/**
 * A look at the catalog: what differs from the newest rows of `pgstream.ddl` becomes rows, in one transaction, under
 * an advisory lock of the database. Tables that statements change at the same time are left to the next look.
 *
 * The catalog is read before the rows, each statement with a snapshot of its own (so rows are read again after each
 * reading of shapes): what it shows and no row says is missing; what a row says that its snapshot does not see is
 * newer than the catalog.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parseSnapshot } from "../../../domain/Ddl.ts"
import { entryPart, LookState, visible, type FullWas, type Stamp } from "./CatalogLookState.ts"
import * as Q from "./CatalogLookSql.ts"

/** Tables of one row, and of one query for shapes. */
const TABLES_PER_ROW = 100

/** `pg_get_expr` locks a table with defaults for a moment. On a timeout the next look tries again. */
const LOCK_TIMEOUT = "200ms"

/** What is kept between looks: rows are read once. Ids are handed out before they are visible: see `#settle`. */
export class LookMemory {
  readonly state = new LookState()
  #complete = 0
  #pending: { readonly id: number; readonly xmax: number } | undefined
  #distrusted = false

  /** The next look says again how each table is: a reader of the rows could not read one. */
  distrust(): void {
    this.#distrusted = true
  }

  /** After the rows were read. */
  settleTrust(): void {
    if (this.#distrusted) this.state.distrust()
    this.#distrusted = false
  }

  /** Reads what is new. */
  read(sql: PgClient.PgClient) {
    return Effect.gen({ self: this }, function*() {
      const before = parseSnapshot(yield* Q.snapshot(sql))
      const last = yield* Q.eachRow(sql, this.#complete, (row) => this.state.apply(row))
      const after = parseSnapshot(yield* Q.snapshot(sql))
      if (Result.isFailure(before) || Result.isFailure(after)) return
      this.#settle(before.success.xmin, last, after.success.xmax)
    })
  }

  /** Ids up to `id` are complete once every transaction that ran when `id` was the highest has ended. */
  #settle(xmin: number, last: number, xmax: number): void {
    if (this.#pending !== undefined && xmin >= this.#pending.xmax) {
      this.#complete = this.#pending.id
      this.state.forget(this.#complete)
      this.#pending = undefined
    }
    if (last > this.#complete) this.#pending ??= { id: last, xmax }
  }
}

/** Does `snapshot` show what the row of `stamp` says? A look's row is older than any look now. */
const shows = (snapshot: string, stamp: Stamp | undefined): boolean =>
  stamp === undefined || stamp.xid.includes(":") || visible(snapshot, stamp.xid)

interface Found {
  readonly shape: unknown
  readonly entry: boolean
  readonly needId: number | undefined
  readonly repeatId: number | undefined
}

const compareTables = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  memory: LookMemory,
  batch: ReadonlyArray<Q.CatalogTable>
) {
  const { state } = memory
  const rows: Array<Q.NewRow> = []
  const found: Array<Found> = []
  let snapshot = ""
  const signatures = new Map(batch.map((table) => [table.oid, table.signature]))
  const shapes = yield* Q.shapes(sql, batch.map((table) => Number(table.oid)))
  const records = yield* Q.identityRecords(sql)
  yield* memory.read(sql)
  const withoutId = batch.map((table) => Number(table.oid)).filter((oid) => !state.withId.has(oid))
  const announced = yield* Q.announced(sql, withoutId)
  for (const now of shapes) {
    const oid = Number(now.oid)
    const known = state.tables.get(oid)
    snapshot = now.snapshot
    if (now.shape === null || !shows(snapshot, known ?? state.gone.get(oid))) continue
    const hasId = state.withId.has(oid) || announced.has(oid)
    if (known !== undefined && known.sure && known.md5 === now.md5 && hasId) {
      state.confirm(oid, signatures.get(now.oid) ?? "")
      continue
    }
    const shape = JSON.parse(now.shape) as { readonly replident: string }
    const before = known?.shapeRowId === undefined ? undefined : yield* Q.shapeOfRow(sql, known.shapeRowId, oid)
    const fullWas = known?.fullWas === undefined ? records.get(oid) ?? null : known.fullWas
    found.push({
      shape: { ...shape, full_ours: shape.replident === "f" ? fullWas : null },
      entry: !hasId || (known !== undefined && entryPart(before) !== entryPart(shape)),
      needId: hasId ? undefined : oid,
      repeatId: hasId && known?.again === true ? oid : undefined
    })
  }
  for (const entry of [true, false]) {
    const some = found.filter((one) => one.entry === entry)
    if (some.length === 0) continue
    rows.push({
      snapshot, skip: !entry, tables: some.map((one) => one.shape),
      needIds: some.map((one) => one.needId).filter((oid) => oid !== undefined),
      repeatIds: some.map((one) => one.repeatId).filter((oid) => oid !== undefined)
    })
  }
  return rows
})

/** Rows of created and renamed schemas; the first look of all only says which there are. */
const compareSchemas = (
  state: LookState,
  schemas: ReadonlyArray<Q.CatalogSchema>,
  snapshot: string
): ReadonlyArray<Q.NewRow> => {
  if (!state.baselined) {
    return [{ snapshot, skip: true, schemas: schemas.map((schema) => [schema.oid, schema.name, "LOOK"] as const) }]
  }
  const rows: Array<Q.NewRow> = []
  const changed = (skip: boolean, tag: string, of: ReadonlyArray<Q.CatalogSchema>) => {
    if (of.length === 0) return
    rows.push({ snapshot, skip, schemas: of.map((schema) => [schema.oid, schema.name, tag] as const) })
  }
  const known = (schema: Q.CatalogSchema) => state.schemas.get(Number(schema.oid))
  changed(false, "CREATE SCHEMA", schemas.filter((schema) =>
    known(schema) === undefined && shows(snapshot, state.goneSchemas.get(Number(schema.oid)))))
  changed(true, "ALTER SCHEMA", schemas.filter((schema) => {
    const before = known(schema)
    return before !== undefined && before.name !== schema.name && shows(snapshot, before)
  }))
  return rows
}

/**
 * One row of what the rows of before speak of and the catalog does not have. `schemas` undefined: a look at `oids`
 * only.
 */
const compareGone = (
  state: LookState,
  catalog: ReadonlyArray<Q.CatalogTable>,
  schemas: ReadonlyArray<Q.CatalogSchema> | undefined,
  oids: ReadonlyArray<number> | null,
  snapshot: string
): ReadonlyArray<Q.NewRow> => {
  const tables = new Set(catalog.map((table) => Number(table.oid)))
  const asked = oids === null ? undefined : new Set(oids)
  const dropped: Array<readonly [string, string, string | null, string]> = []
  for (const [oid, table] of state.tables) {
    if (tables.has(oid) || asked?.has(oid) === false || !shows(snapshot, table)) continue
    dropped.push(["table", String(oid), table.schema, table.name])
  }
  const there = new Set(schemas?.map((schema) => Number(schema.oid)))
  for (const [oid, schema] of schemas === undefined ? [] : state.schemas) {
    if (!there.has(oid) && shows(snapshot, schema)) dropped.push(["schema", String(oid), null, schema.name])
  }
  return dropped.length === 0 ? [] : [{ snapshot, skip: false, dropped }]
}

/** Brings `pgstream.identities` in line with what the rows say. `records`: as they were before the rows were read. */
const syncIdentities = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  state: LookState,
  records: ReadonlyMap<number, FullWas>
) {
  for (const [oid, was] of records) {
    const known = state.tables.get(oid)
    if (known?.fullWas === null) yield* sql`DELETE FROM pgstream.identities WHERE oid = ${oid} AND was = ${was}`
    if (known === undefined) {
      yield* sql`
        DELETE FROM pgstream.identities i
         WHERE i.oid = ${oid} AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = i.oid)`
    }
  }
  for (const [oid, known] of state.tables) {
    if (known.fullWas === undefined || known.fullWas === null || records.get(oid) === known.fullWas) continue
    yield* sql`
      INSERT INTO pgstream.identities(oid, schema, name, was)
      VALUES (${oid}, ${known.schema}, ${known.name}, ${known.fullWas})
      ON CONFLICT (oid) DO UPDATE SET was = excluded.was, schema = excluded.schema, name = excluded.name`
  }
})

export const readCommitted = (sql: PgClient.PgClient, lockTimeout: string) =>
  Effect.andThen(
    sql`SET TRANSACTION ISOLATION LEVEL READ COMMITTED`,
    sql`SELECT set_config('lock_timeout', ${lockTimeout}, true)`
  )

/** `undefined`: another session looks just now. Otherwise the number of rows written; nothing differs: nothing is. */
export const look = Effect.fn("CatalogLook.look")(function*(
  sql: PgClient.PgClient,
  memory: LookMemory,
  oids: ReadonlyArray<number> | null
) {
  yield* readCommitted(sql, LOCK_TIMEOUT)
  const [lock] = yield* sql<{ readonly free: boolean }>`
    SELECT pg_try_advisory_xact_lock(hashtextextended('pgstream.look', 0)) AS free`
  if (lock?.free !== true) return undefined
  const snapshot = yield* Q.snapshot(sql)
  const catalog = yield* Q.catalogTables(sql, oids)
  const schemas = oids === null ? yield* Q.catalogSchemas(sql) : undefined
  const records = yield* Q.identityRecords(sql)
  yield* memory.read(sql)
  if (oids === null) memory.settleTrust()
  const { state } = memory
  const rows: Array<Q.NewRow> = schemas === undefined ? [] : [...compareSchemas(state, schemas, snapshot)]
  rows.push(...compareGone(state, catalog, schemas, oids, snapshot))
  const busy = yield* Q.busyTables(sql)
  const candidates = catalog.filter(({ oid, signature }) =>
    state.tables.get(Number(oid))?.signature !== signature && !busy.has(oid))
  for (let n = 0; n < candidates.length; n += TABLES_PER_ROW) {
    rows.push(...yield* compareTables(sql, memory, candidates.slice(n, n + TABLES_PER_ROW)))
  }
  yield* Effect.forEach(rows, (row) => Q.insertRow(sql, row), { discard: true })
  yield* syncIdentities(sql, state, records)
  return rows.length
})
