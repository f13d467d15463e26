/** `TableCatalog` of tables that are given, each with its columns: a condition may name these, and no others. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Catalog } from "../../domain/TablePattern.ts"
import { TableCatalog } from "../../services/TableCatalog.ts"

/** `columns`: names by `schema.table`. */
export const layer = (
  catalog: Catalog, columns: Readonly<Record<string, ReadonlyArray<string>>> = {}
): Layer.Layer<TableCatalog> =>
  Layer.succeed(TableCatalog, TableCatalog.of({
    read: Effect.succeed(catalog),
    conditionProblem: ({ name, schema }, condition) => {
      const known = new Set(columns[`${schema}.${name}`] ?? [])
      const named = condition.replaceAll(/'[^']*'/g, "").match(/[a-z_]\w*/gi) ?? []
      const unknown = named.find((word) => !known.has(word) && !/^(and|or|not|is|null|true|false|in|like)$/i.test(word))
      return Effect.succeed(unknown === undefined ? undefined : `is refused by Postgres: column "${unknown}" does not exist`)
    }
  }))
