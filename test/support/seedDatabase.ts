/** A database of the system that we replace with something in it: tables with ids, entries, subscriptions of each kind. */
import type { TestDatabase } from "./database.ts"
import { seedSql } from "./seed.ts"

export interface SeedIds {
  readonly users: string
  readonly logs: string
  /** Entries of schema `public`, versions 1 and 2. */
  readonly first: string
  readonly second: string
}

export const seed = (database: Pick<TestDatabase, "psql">, version: 7 | 8): SeedIds => {
  database.psql(seedSql(version))
  database.psql(`CREATE TABLE public.users(id int PRIMARY KEY, name text)`)
  database.psql(`CREATE TABLE public.logs(line text)`)
  database.psql(`
    UPDATE pgstream.schema_log SET acked = true;
    INSERT INTO pgstream.webhook_subscriptions VALUES
      ('http://user:secret@127.0.0.1:9/hook?key=secret', '', '', NULL), ('http://127.0.0.1:9/b', 'public', 'users', '{I,U}'),
      ('', '', '', NULL), ('ftp://host/x', 'public', '', NULL);`)
  const table = (name: string) => database.psql(`SELECT id FROM pgstream.table_ids WHERE oid = 'public.${name}'::regclass::oid`).trim()
  const entry = (n: number) => database.psql(`SELECT id FROM pgstream.schema_log WHERE schema_name = 'public' AND version = ${n}`).trim()
  return { users: table("users"), logs: table("logs"), first: entry(1), second: entry(2) }
}
