import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { assert, describe, it } from "@effect/vitest"
import * as TablePattern from "../../../src/domain/TablePattern.ts"

let oid = 0
const table = (qualified: string, kind: TablePattern.CatalogTable["kind"] = "table", partitionOf?: number): TablePattern.CatalogTable => {
  const [schema = "", name = ""] = qualified.split("/")
  return { oid: ++oid, schema, name, kind, partitionOf }
}
const orders = table("sales/orders", "partitioned table")
const mid = table("sales/orders_2026", "partitioned table", orders.oid)
const tables = [
  table("public/test"), table("public/apple"), table("public/avocado"), table("public/My Table"), table("public/a.b"),
  table("public/a*"), table("public/v", "view"), table("public/fast", "unlogged table"), table("app/test"), table("app/users"),
  orders, mid, table("sales/orders_2025", "table", orders.oid), table("archive/jan", "table", mid.oid),
  table("sales/far", "foreign table"), table("pgstream/schema_log"), table("pg_catalog/pg_class"), table("information_schema/x")
]
const catalog: TablePattern.Catalog = {
  tables, schemas: ["public", "app", "sales", "archive", "empty", "pgstream", "pg_catalog", "information_schema"]
}
const patterns = (...texts: ReadonlyArray<string>) => texts.map((text) => Result.getOrThrow(TablePattern.parse(text)))
const select = (wanted: ReadonlyArray<string>, unwanted: ReadonlyArray<string> = []) =>
  TablePattern.select(patterns(...wanted), patterns(...unwanted), catalog)
const names = (wanted: ReadonlyArray<string>, unwanted: ReadonlyArray<string> = []) => {
  const { problems, tables } = select(wanted, unwanted)
  assert.deepStrictEqual(problems, [])
  return tables.map(({ name, schema }) => `${schema}/${name}`)
}
const problem = (...wanted: ReadonlyArray<string>) => select(wanted).problems.map(({ message, pattern }) => `${pattern} ${message}`)

describe("patterns", () => {
  it("* is every table of public, s.* of a schema, *.* of all but the system's", () => {
    assert.deepStrictEqual(names(["*"]), ["public/test", "public/apple", "public/avocado", "public/My Table", "public/a.b", "public/a*"])
    assert.deepStrictEqual(names(["app.*"]), ["app/test", "app/users"])
    assert.notInclude(names(["*.*"]).join(), "pg")
    assert.include(names(["*.*"]), "archive/jan")
    assert.deepStrictEqual(names(["*.test"]), ["public/test", "app/test"])
  })
  it("a* is a beginning, a quoted star is a star", () => {
    assert.deepStrictEqual(names(["a*"]), ["public/apple", "public/avocado", "public/a.b", "public/a*"])
    assert.deepStrictEqual(names(['"a*"']), ["public/a*"])
    assert.deepStrictEqual(names(["*o*a*o"]), ["public/avocado"])
    assert.deepStrictEqual(names(['"My "*']), ["public/My Table"])
    assert.isFalse(TablePattern.matches(patterns("*ab*b")[0]!, { schema: "public", name: "ab" }))
  })
  it("quotes hold dots, blanks and capitals", () => {
    assert.deepStrictEqual(names(['"a.b"', 'public."My Table"']), ["public/My Table", "public/a.b"])
    assert.deepStrictEqual(names(["My Table"]), ["public/My Table"])
  })
  it("a table that two patterns mean is there once", () => {
    assert.deepStrictEqual(names(["test", "test", "*.test"]), ["public/test", "app/test"])
  })
  it("a partitioned table is the tables below it, each once", () => {
    const below = ["sales/orders_2025", "archive/jan"]
    assert.deepStrictEqual(names(["sales.orders"]), below)
    assert.deepStrictEqual(names(["sales.orders*", "archive.jan", "sales.orders"]), below)
    assert.deepStrictEqual(names(["sales.orders"], ["sales.orders_2026"]), ["sales/orders_2025"])
  })
  it("what is excluded is left out, by pattern too", () => {
    assert.deepStrictEqual(names(["*", "app.*"], ["a*", "app.*", '"My Table"']), ["public/test"])
  })
})

describe("what means nothing", () => {
  it("is an error with the nearest name", () => {
    assert.deepStrictEqual(problem("tset"), ["tset matches no table; the nearest is public.test"])
    assert.deepStrictEqual(problem("users"), ["users matches no table; the nearest is app.users"])
    assert.deepStrictEqual(problem("TEST"), ["TEST matches no table; the nearest is public.test"])
    assert.deepStrictEqual(problem("ap.*"), ["ap.* names the schema ap, which is not there; the nearest is app"])
    assert.deepStrictEqual(problem("quiteanothername"), ["quiteanothername matches no table"])
  })
  it("is an error among the excluded, too", () => {
    assert.deepStrictEqual(select(["*"], ["aple"]).problems, [{ pattern: "aple", message: "matches no table; the nearest is public.apple" }])
  })
  it("is a note for a wildcard in a schema that is there", () => {
    assert.deepStrictEqual(select(["empty.*", "zz*"]), { tables: [], problems: [], notes: ["empty.* matches no table now", "zz* matches no table now"] })
  })
  it("tells what cannot be copied: an error by name, a note by wildcard", () => {
    assert.deepStrictEqual(problem("v", "fast"), ["v cannot be copied: a view has no rows of its own", "fast cannot be copied: an unlogged table is never in the stream"])
    assert.deepStrictEqual(select(["sales.*"]).notes, ["sales.far is passed over: the rows of a foreign table are on another server"])
    assert.deepStrictEqual(problem("pgstream.schema_log", "pg_catalog.*"), [
      "pgstream.schema_log is in a schema of pgstream, which is never copied", "pg_catalog.* is in a schema of Postgres, which is never copied"
    ])
  })
})

describe("text", () => {
  it("is split at blanks and commas outside of quotes", () => {
    assert.deepStrictEqual(TablePattern.split(' test_schema.*  test,"My, Table" a."b c",'), ["test_schema.*", "test", '"My, Table"', 'a."b c"'])
  })
  it("that is no pattern is refused with the reason", () => {
    const failure = (text: string) => Result.match(TablePattern.parse(text), { onFailure: (why) => why, onSuccess: () => "" })
    assert.include(failure("a.b.c"), "more than one dot")
    assert.include(failure('"a'), "not closed")
    assert.include(failure('""'), "empty name in quotes")
    for (const text of ["", ".", "a.", ".a"]) assert.include(failure(text), "empty name")
  })
})

const Name = Schema.String.check(Schema.isMinLength(1))
describe("properties", () => {
  it.prop("format means exactly its table, also in a list", { schema: Name, name: Name, other: Name }, ({ name, other, schema }) => {
    if (TablePattern.isSystem(schema)) return
    const text = TablePattern.format({ schema, name })
    assert.deepStrictEqual(TablePattern.split(`${text} x,${text}`), [text, "x", text])
    const pattern = Result.getOrThrow(TablePattern.parse(text))
    assert.isTrue(TablePattern.matches(pattern, { schema, name }))
    assert.strictEqual(TablePattern.matches(pattern, { schema, name: other }), name === other)
    assert.strictEqual(TablePattern.matches(pattern, { schema: other, name }), schema === other)
  })
  const Letters = Schema.Array(Schema.Literals(["a", "b", "*"]))
  const Text = Schema.Array(Schema.Literals(["a", "b"]))
  it.prop("a wildcard matches as the regular expression does", { letters: Letters, text: Text }, ({ letters, text }) => {
    if (letters.length === 0) return
    const expected = new RegExp(`^${letters.join("").replaceAll("*", ".*")}$`).test(text.join(""))
    const pattern = Result.getOrThrow(TablePattern.parse(letters.join("")))
    assert.strictEqual(TablePattern.matches(pattern, { schema: "public", name: text.join("") }), expected)
  }, { arbitrary: { runs: 3_000 } })
  it.prop("parse never throws", { text: Schema.String }, ({ text }) => {
    TablePattern.split(text).forEach(TablePattern.parse)
    TablePattern.parse(text)
  })
})
