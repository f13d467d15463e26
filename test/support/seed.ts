/** SQL that makes a database of the system that we replace, after its migration 7 or 8 (golden/SCHEMA.md). */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const file = (name: string) => readFileSync(join(import.meta.dirname, name), "utf8")

export const seedSql = (version: 7 | 8): string => file("seed7.sql") + (version === 8 ? file("seed8.sql") : "")
