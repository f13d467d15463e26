/** What the demo changes, so that there is something to see: one DDL and a few rows, different at each start. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { make } from "../postgres/Sql.ts"

export const change = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* make(Redacted.make(url), "pgstream demo", 1)
    const [found] = yield* sql<{ readonly there: boolean; readonly note: boolean }>`
      SELECT to_regclass('public.orders') IS NOT NULL AS there,
             EXISTS (SELECT FROM information_schema.columns
                     WHERE table_schema = 'public' AND table_name = 'orders' AND column_name = 'note') AS note`
    if (found?.there !== true) {
      yield* sql`CREATE TABLE orders (id serial PRIMARY KEY, customer text NOT NULL, total numeric(10, 2))`
    } else if (found.note) {
      yield* sql`ALTER TABLE orders DROP COLUMN note`
    } else {
      yield* sql`ALTER TABLE orders ADD COLUMN note text`
    }
    yield* sql`INSERT INTO orders (customer, total) VALUES ('alice', 12.50), ('bob', 99.90)`
    yield* sql`UPDATE orders SET total = total + 1 WHERE id = (SELECT max(id) FROM orders)`
  }).pipe(Effect.scoped)
