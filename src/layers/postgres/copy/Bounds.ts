/** Where a range of so many rows ends. */
import * as Effect from "effect/Effect"
import type { Bound } from "../../../domain/copy/Ranges.ts"
import type { ReadRequest, TableReaderError } from "../../../services/TableReader.ts"
import type { Session } from "../replication/Session.ts"
import { query } from "./Connections.ts"
import * as Statements from "./Statements.ts"

/** Bytes of the table's file that one of its ranges has, where it has no key: about this many rows a page. */
const ROWS_PER_PAGE = 32

const pageOf = (bound: Bound): number | undefined => {
  const page = /^\((\d+),/.exec(bound?.[0] ?? "")?.[1]
  return page === undefined ? undefined : Number(page)
}

/** The end of a page some pages on; `undefined`: the file ends before. */
const pageBound = (session: Session, oid: number, from: Bound, to: Bound, rows: number) =>
  Effect.map(
    query(session, `SELECT (pg_relation_size(${oid}::oid) / current_setting('block_size')::bigint)::text AS pages`),
    ([row]) => {
      const page = (pageOf(from) ?? 0) + Math.max(1, Math.ceil(rows / ROWS_PER_PAGE))
      return page >= Math.min(Number(row?.["pages"] ?? 0), pageOf(to) ?? Infinity) ? undefined : [`(${page},0)`]
    }
  )

const typesOf = (session: Session, oid: number) =>
  Effect.map(query(session, Statements.describe(oid)), ([row]) =>
    new Map((JSON.parse(row?.["columns"] ?? "[]") as ReadonlyArray<ReadonlyArray<string>>).map((column) => [column[0]!, column[4]!])))

/** Key of the `rows`-th row above `from` and up to `to`, or a page's end; `undefined`: there are fewer. */
export const find = (
  session: Session, table: ReadRequest["table"], key: ReadonlyArray<string>, from: Bound, to: Bound, rows: number
): Effect.Effect<Bound, TableReaderError> =>
  key.length === 0 ? pageBound(session, table.oid, from, to, rows) : Effect.gen(function*() {
    const types = yield* typesOf(session, table.oid)
    if (!key.every((name) => types.has(name))) return undefined
    const columns = key.map((name) => ({ name, type: types.get(name)! }))
    const [row] = yield* query(session, Statements.selectBound(table, columns, from, to, rows))
    return row === undefined ? undefined : columns.map((_, i) => row[`k${i}`] ?? "")
  })
