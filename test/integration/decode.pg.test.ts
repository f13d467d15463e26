/**
 * Golden's scenarios on a real Postgres, both plugins, decoded and written as payloads. What is golden's own is
 * `Data` of user tables (events of the schema `pgstream` are the schema log's, with tests of its own).
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, inject, it } from "vitest"
import { BodyWriter } from "../../src/domain/Body.ts"
import type { Item } from "../../src/domain/Chunk.ts"
import * as Decoder from "../../src/domain/Decoder.ts"
import type { TableShape } from "../../src/domain/TableShape.ts"
import { catalogShapes } from "../fixtures/catalogShapes.ts"
import { frameOf, peek, type Plugin, type Psql, runSql } from "../fixtures/peek.ts"
import { testDatabase } from "../support/database.ts"

interface Cell { readonly id: string; readonly name: string; readonly type: string; readonly value: unknown }
interface Data {
  readonly action: string
  readonly timestamp: string
  readonly lsn: string
  readonly schema: string
  readonly table: string
  readonly columns: ReadonlyArray<Cell> | null
  readonly identity: ReadonlyArray<Cell> | null
  readonly metadata: unknown
  readonly prefix?: string
  readonly content?: string
  readonly content_base64?: string
}

/** What a plugin cannot know, or golden cannot: each with its reason. */
interface Differences {
  /** pgoutput before 18 does not carry stored generated columns. */
  readonly generated?: (cell: Cell) => boolean
  /** pgoutput never carries TRUNCATE of a partitioned parent. */
  readonly partitioned?: ReadonlyArray<string>
  /** pgoutput names a domain as the type under it, unless there is a shape: column → what it says. */
  readonly domains?: Readonly<Record<string, string>>
  /** The seed exits: golden's events are the first of ours. */
  readonly goldenStops?: boolean
}

const scenarios: Readonly<Record<string, Differences>> = {
  "01_tutorial": {},
  "02_types_wide": { domains: { c_dom: "integer", c_dom2: "character varying" } },
  "03_types_numeric_edge": {},
  "05_types_json": {},
  "07_types_text_edge": {},
  "09_generated_identity": { generated: (cell) => cell.name === "lbl" || (cell.name === "area" && cell.value !== null) },
  "10_identifiers": {},
  "11_toast": {},
  "13_replica_identity": {},
  "15_partitions": { partitioned: ["ev", "ev_2024"] },
  "16_inheritance": {},
  "17_truncate": {},
  "19_big_tx": {},
  "21_upsert_merge": {},
  "25_composite_pk": {},
  "29_ddl_dml_one_tx": {},
  "31_logical_message": {},
  "33_triggers_fk": {},
  "37_many_columns": {},
  "39_no_columns_defaults": {},
  "41_unique_metadata": { generated: (cell) => cell.name === "g" },
  "43_poison_numeric": { goldenStops: true },
  "45_array_of_quoted_type": { domains: { d: "integer" } },
  "49_search_path": {},
  "51_poison_qualified_type": { goldenStops: true }
}

const golden = [process.env["PGSTREAM_GOLDEN"], join(import.meta.dirname, "../../../shared/golden")]
  .find((folder) => folder !== undefined && existsSync(join(folder, "scenarios")))

const psql = (): Psql => {
  const own = join(inject("postgresBin"), "psql")
  return { program: existsSync(own) ? own : "psql", host: "127.0.0.1", port: inject("postgresPort") }
}

/** golden/normalise.mjs, after the events of `pgstream` are gone: positions by first appearance, times as `T`. */
const normalise = (events: ReadonlyArray<Data>): ReadonlyArray<Data> => {
  const lsns = new Map<string, string>()
  return events.filter((event) => event.schema !== "pgstream").map((event) => {
    if (!lsns.has(event.lsn)) lsns.set(event.lsn, `L${lsns.size + 1}`)
    return { ...event, lsn: lsns.get(event.lsn)!, timestamp: event.timestamp === "" ? "" : "T" }
  })
}

const expected = (name: string): ReadonlyArray<Data> =>
  normalise(readFileSync(join(golden!, "payloads", `${name}.plain.norm.txt`), "utf8").split("\n").filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { readonly Data: Data }).Data))

const asPgoutput = (events: ReadonlyArray<Data>, differences: Differences, shapes: boolean): ReadonlyArray<Data> => {
  const cells = (list: ReadonlyArray<Cell> | null): ReadonlyArray<Cell> | null =>
    list?.filter((cell) => differences.generated?.(cell) !== true).map((cell) => ({
      ...cell, type: (shapes ? undefined : differences.domains?.[cell.name]) ?? cell.type
    })) ?? null
  return events.filter((event) => event.action !== "T" || differences.partitioned?.includes(event.table) !== true)
    .map((event) => ({ ...event, columns: cells(event.columns), identity: cells(event.identity) }))
}

const run = (name: string, plugin: Plugin) => {
  const database = testDatabase(`decode_${name}_${plugin}`)
  const slot = database.name.slice(0, 60)
  if (plugin === "pgoutput") runSql(psql(), database.name, "CREATE PUBLICATION fixture FOR ALL TABLES")
  runSql(psql(), database.name, `SELECT pg_create_logical_replication_slot('${slot}', '${plugin}')`)
  runSql(psql(), database.name, readFileSync(join(golden!, "scenarios", `${name}.sql`), "utf8"), false)
  const captured = peek(psql(), database.name, slot, plugin, inject("postgresVersion"))
  runSql(psql(), database.name, `SELECT pg_drop_replication_slot('${slot}')`)
  return { captured, shapes: catalogShapes(psql(), database.name) }
}

const decode = (plugin: Plugin, captured: ReturnType<typeof peek>, shapes: ReadonlyMap<string, TableShape> | undefined) => {
  const decoder = Decoder.make(plugin, { maxFrameBytes: 1 << 26 })
  const items: Array<Item> = []
  for (const each of captured) decoder.push(frameOf(each), items)
  const writer = new BodyWriter()
  const bodies: Array<string> = []
  for (const item of items) {
    assert.notStrictEqual(item._tag, "Undecodable", JSON.stringify(item))
    if (item._tag !== "Change") continue
    if (item.relation !== undefined) item.shape = shapes?.get(`${item.relation.schema}.${item.relation.table}`)
    bodies.push(Buffer.from(writer.write(item)).toString("utf8"))
  }
  return bodies
}

/** `Data` as a receiver parses it: numbers as float64, which is what golden has of them. */
const parse = (bodies: ReadonlyArray<string>): ReadonlyArray<Data> => normalise(bodies.map((body) => (JSON.parse(body) as { readonly Data: Data }).Data))

const withoutContent = ({ content: _content, content_base64: _base64, prefix: _prefix, ...rest }: Data): Data => rest

const compare = (got: ReadonlyArray<Data>, want: ReadonlyArray<Data>, stops: boolean) => {
  const shown = got.map(withoutContent)
  assert.deepStrictEqual(stops ? shown.slice(0, want.length) : shown, want)
  if (stops) assert.isAbove(shown.length, want.length, "the seed stops here, we do not")
}

describe.skipIf(golden === undefined)("golden scenarios, decoded", () => {
  for (const [name, differences] of Object.entries(scenarios)) {
    it(`${name}: pgoutput gives golden's payloads, without shapes and with them`, () => {
      const { captured, shapes } = run(name, "pgoutput")
      const want = expected(name)
      for (const with_ of [undefined, shapes]) {
        compare(parse(decode("pgoutput", captured, with_)), asPgoutput(want, differences, with_ !== undefined), differences.goldenStops === true)
      }
    })
    it.skipIf(!inject("postgresHasWal2json"))(`${name}: wal2json gives golden's payloads, without shapes and with them`, () => {
      const { captured, shapes } = run(name, "wal2json")
      for (const with_ of [undefined, shapes]) {
        compare(parse(decode("wal2json", captured, with_)), expected(name), differences.goldenStops === true)
      }
    })
  }
})

/** Golden's bodies are `JSON.stringify(JSON.parse(body))` but for two escapes; ours are too, but for digits beyond float64. */
const goldenForm = (text: string) =>
  JSON.stringify(JSON.parse(text)).replaceAll(/\\(?:u[0-9a-f]{4}|.)/g, (e) => (e === "\\b" ? "\\u0008" : e === "\\f" ? "\\u000c" : e))

describe.skipIf(golden === undefined)("byte form", () => {
  it("is golden's: key order, escapes and spaces", () => {
    const { captured } = run("07_types_text_edge", "pgoutput")
    const bodies = decode("pgoutput", captured, undefined)
    assert.strictEqual(bodies.length, 15)
    for (const body of bodies) assert.strictEqual(body, goldenForm(body))
    const raw = readFileSync(join(golden!, "payloads/07_types_text_edge.plain.jsonl"), "utf8").split("\n").filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { readonly body: string }).body).filter((body) => !body.includes("\"schema\":\"pgstream\""))
    const hide = (body: string) => body.replace(/"timestamp":"[^"]*","lsn":"[^"]*"/, "")
    assert.deepStrictEqual(bodies.map(hide), raw.map(hide))
  })

  it("keeps every digit", () => {
    const { captured } = run("03_types_numeric_edge", "pgoutput")
    const text = decode("pgoutput", captured, undefined).join("\n")
    for (const digits of ["9007199254740993", "-9223372036854775808", "123456789012345678901234567890", "0.1234567890123456789012345678901234567890", "1.10", "1234567890123456.7891"]) {
      assert.include(text, `"value":${digits}}`)
    }
  })

  it("gives messages their prefix and content", () => {
    for (const plugin of ["pgoutput", ...(inject("postgresHasWal2json") ? ["wal2json" as const] : [])] as const) {
      const messages = parse(decode(plugin, run("31_logical_message", plugin).captured, undefined)).filter((event) => event.action === "M")
      assert.deepStrictEqual(messages.map((event) => [event.prefix, event.content ?? event.content_base64]), [
        ["app", "hello transactional"], ["app", "hello non-transactional \"q\""], ["pfx", "{\"json\":true}"], ["x", "survives rollback"], ["bin", "3q2+7w=="]
      ])
    }
  })
})
