/**
 * How a copy is asked for: patterns become tables of the source, conditions are checked, and then it is requested. The
 * command, the API and a start in a mode with a copy all ask here, so they refuse the same things in the same words.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SubscriptionId } from "../domain/Subscription.ts"
import type { TablePattern } from "../domain/TablePattern.ts"
import type { Copy, CopyMode, CopyRequestsError, TableName } from "./CopyRequests.ts"
import type { SubscriptionStoreError } from "./SubscriptionStore.ts"
import type { TableCatalogError } from "./TableCatalog.ts"

/** Copies of a stream that are not over, at most. */
export const MAX_OPEN_COPIES = 100

export interface CopyWish {
  /** For it alone; `undefined`: for every one that takes inserts of the tables. */
  readonly subscription: SubscriptionId | undefined
  /** Empty, with a subscription: all that it selects. */
  readonly tables: ReadonlyArray<TablePattern>
  readonly excluded: ReadonlyArray<TablePattern>
  /** Of these the schema's entry is sent and no row. */
  readonly schemaOnly: ReadonlyArray<TablePattern>
  /** An SQL expression on the columns of each table. */
  readonly where: string | undefined
  readonly mode: CopyMode
  readonly repeatable: boolean
}

export interface Asked {
  /** New ones, and one that goes on in place of a new one. Two where some tables are schema-only. */
  readonly copies: ReadonlyArray<Copy>
  /** Copied to their end before, and not repeatable. */
  readonly skipped: ReadonlyArray<TableName>
  /** What a wildcard passed over, and wildcards that match nothing now. */
  readonly notes: ReadonlyArray<string>
}

export type CopyAskingError = CopyRefused | CopyRequestsError | TableCatalogError | SubscriptionStoreError

export class CopyAsking extends Context.Service<CopyAsking, {
  /** Durable before it returns. Refused: nothing was requested. */
  ask(wish: CopyWish): Effect.Effect<Asked, CopyAskingError>
}>()("pgstream/services/CopyAsking") {}

/** Part of a wish that cannot be used, for a sentence that begins with it. */
export const WishProblem = Schema.Struct({
  part: Schema.Literals(["subscription", "tables", "excluded_tables", "schema_only_tables", "where", ""]),
  problem: Schema.String
})
export type WishProblem = typeof WishProblem.Type

export class CopyRefused extends Schema.TaggedError<CopyRefused>()("CopyRefused", {
  problems: Schema.Array(WishProblem)
}) {
  /** A flag or a key says something that cannot be used: configuration. */
  readonly exitCode = 3
  override get message() {
    const lines = this.problems.map(({ part, problem }) => `  ${part === "" ? "" : `${part}  `}${problem}`)
    return `Cannot copy: nothing was requested.\n\n${lines.join("\n")}\n\nNothing was changed.  CopyRefused`
  }
}
