/** What tables the source has, and whether a condition has a meaning on one. Every layer passes `test/suites/TableCatalogSuite.ts`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Catalog } from "../domain/TablePattern.ts"

export class TableCatalog extends Context.Service<TableCatalog, {
  /** Committed now; without temporary tables and the schemas of Postgres. By schema and name. */
  readonly read: Effect.Effect<Catalog, TableCatalogError>
  /**
   * Why Postgres cannot use the condition on the rows of this table, in its words; `undefined`: it can. No row is read.
   * Only a condition that `Condition.problem` has nothing against.
   */
  conditionProblem(
    table: { readonly schema: string; readonly name: string }, condition: string
  ): Effect.Effect<string | undefined, TableCatalogError>
}>()("pgstream/services/TableCatalog") {}

export class TableCatalogError extends Schema.TaggedError<TableCatalogError>()("TableCatalogError", {
  /** The source cannot be reached now, or the table is locked: try again. */
  unavailable: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message() {
    const seen = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `Cannot read the tables of the source database${seen}.`
  }
}
