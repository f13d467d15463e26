/** `CopyAsking` over the catalog, the subscriptions, and the requests. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Condition from "../../domain/Condition.ts"
import { isOver } from "../../domain/copy/Copy.ts"
import { type Subscription, takesTable } from "../../domain/Subscription.ts"
import * as TablePattern from "../../domain/TablePattern.ts"
import { CopyAsking, CopyRefused, type CopyWish, MAX_OPEN_COPIES, type WishProblem } from "../../services/CopyAsking.ts"
import { CopyRequests } from "../../services/CopyRequests.ts"
import { SubscriptionStore } from "../../services/SubscriptionStore.ts"
import { TableCatalog } from "../../services/TableCatalog.ts"
import { targetsOf } from "./SnapshotterTarget.ts"

/** Problems of one wish that are told, at most. */
const MAX_TOLD = 10

const refuse = (problems: ReadonlyArray<WishProblem>) => Effect.fail(new CopyRefused({ problems: problems.slice(0, MAX_TOLD) }))

const selects = (subscription: Subscription) => ({ name, schema }: TablePattern.CatalogTable): boolean =>
  takesTable(subscription, { schema, table: name })

/** What a subscription selects, as a pattern: its names are exact. */
const patternOf = ({ schema, table }: Pick<Subscription, "schema" | "table">): TablePattern.TablePattern => ({
  text: table === "" && schema === "" ? "*.*" : table === "" ? `${schema}.*` : TablePattern.format({ schema: schema === "" ? "*" : schema, name: table }),
  schema: schema === "" ? ["", ""] : [schema],
  table: table === "" ? ["", ""] : [table]
})

interface Chosen {
  readonly tables: ReadonlyArray<TablePattern.CatalogTable>
  readonly schemaOnly: ReadonlyArray<TablePattern.CatalogTable>
  readonly notes: ReadonlyArray<string>
  readonly problems: ReadonlyArray<WishProblem>
}

/** Tables of the wish; those of a subscription are among what it selects. */
const choose = (wish: CopyWish, subscription: Subscription | undefined, catalog: TablePattern.Catalog): Chosen => {
  const problems: Array<WishProblem> = []
  const notes: Array<string> = []
  const all = subscription !== undefined && wish.tables.length === 0
  const select = (part: "tables" | "schema_only_tables", patterns: ReadonlyArray<TablePattern.TablePattern>) => {
    const found = TablePattern.select(patterns, wish.excluded, catalog)
    for (const { message, pattern } of found.problems) {
      const excluded = wish.excluded.some(({ text }) => text === pattern)
      // Those are held against the catalog for each of the two lists, and told once.
      if (excluded && part !== "tables") continue
      problems.push({ part: excluded ? "excluded_tables" : part, problem: `${pattern} ${message}` })
    }
    notes.push(...found.notes)
    if (subscription === undefined) return found.tables
    const selected = found.tables.filter(selects(subscription))
    if (selected.length === 0 && found.tables.length > 0) {
      problems.push({ part, problem: `hold no table that this subscription selects; it selects ${patternOf(subscription).text}` })
    }
    return selected
  }
  // A subscription may come before its table: then there is nothing to copy.
  const wanted = all && subscription !== undefined
    ? catalog.tables.some(selects(subscription)) ? [patternOf(subscription)] : []
    : wish.tables
  if (all && wanted.length === 0) notes.push(`${patternOf(subscription!).text} matches no table now`)
  const schemaOnly = select("schema_only_tables", wish.schemaOnly)
  const kept = new Set(schemaOnly.map(({ oid }) => oid))
  return { tables: select("tables", wanted).filter(({ oid }) => !kept.has(oid)), schemaOnly, notes: [...new Set(notes)], problems }
}

const named = ({ name, schema }: TablePattern.CatalogTable) => ({ schema, table: name })

export const layer: Layer.Layer<CopyAsking, never, CopyRequests | TableCatalog | SubscriptionStore> = Layer.effect(
  CopyAsking,
  Effect.gen(function*() {
    const requests = yield* CopyRequests
    const catalog = yield* TableCatalog
    const store = yield* SubscriptionStore

    const subscriptionOf = Effect.fnUntraced(function*(id: string) {
      const found = (yield* store.list).find((one) => one.id === id.toLowerCase())
      return found ?? (yield* refuse([{ part: "subscription", problem: `${id} is none of the subscriptions; see them with   pgstream subscriptions list` }]))
    })

    /** A copy for all is done when nobody is there, too, and perhaps never made again. */
    const nobody = Effect.fnUntraced(function*(tables: ReadonlyArray<TablePattern.CatalogTable>) {
      const rows = yield* store.list
      const taken = tables.some((table) => targetsOf({ subscription: undefined }, named(table), rows).length > 0)
      return taken || tables.length === 0 ? [] : ["no subscription takes inserts of these tables now: nobody is sent a row. Subscribe first"]
    })

    const checkCondition = Effect.fnUntraced(function*(condition: string, tables: ReadonlyArray<TablePattern.CatalogTable>) {
      const malformed = Condition.problem(condition)
      if (malformed !== undefined) return yield* refuse([{ part: "where", problem: malformed }])
      for (const table of tables) {
        const problem = yield* catalog.conditionProblem(table, condition)
        if (problem !== undefined) return yield* refuse([{ part: "where", problem: `${problem} (${TablePattern.format(table)})` }])
      }
    })

    const ask = Effect.fn("CopyAsking.ask")(function*(wish: CopyWish) {
      const subscription = wish.subscription === undefined ? undefined : yield* subscriptionOf(wish.subscription)
      const { notes, problems, schemaOnly, tables } = choose(wish, subscription, yield* catalog.read)
      if (problems.length > 0) return yield* refuse(problems)
      if (wish.where !== undefined) yield* checkCondition(wish.where, tables)
      const open = (yield* requests.list).filter(({ state }) => !isOver(state)).length
      if (open >= MAX_OPEN_COPIES) {
        return yield* refuse([{ part: "", problem: `${open} copies are not over, which is the most that there may be; wait, or cancel some:   pgstream snapshot list` }])
      }
      const spec = { subscription: subscription?.id, where: wish.where, repeatable: wish.repeatable }
      const parts = [
        { ...spec, tables: schemaOnly.map(named), mode: "schema" as const, where: undefined },
        { ...spec, tables: tables.map(named), mode: wish.mode }
      ].filter((part) => part.tables.length > 0)
      const made = yield* Effect.forEach(parts, (part) => requests.create(part))
      return {
        copies: made.flatMap(({ copy }) => (copy === undefined ? [] : [copy])),
        skipped: made.flatMap(({ skipped }) => skipped),
        notes: subscription === undefined && made.some(({ copy }) => copy !== undefined) ? [...notes, ...yield* nobody(tables)] : notes
      }
    })

    return CopyAsking.of({ ask })
  })
)
