/**
 * Conformance in small: every scenario, both plugins, injector on and off, without the network. What no rule of
 * conformance/rules.ts explains fails, and so does a rule that no scenario needs. A replay is the same, byte for byte.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, inject, it } from "vitest"
import { compare } from "../../conformance/Compare.ts"
import * as Facts from "../../conformance/Facts.ts"
import { ofBody, ofGolden, readable } from "../../conformance/Payload.ts"
import type { InjectorSetting, Plugin } from "../../conformance/Rule.ts"
import { rules } from "../../conformance/rules.ts"
import { dropDatabase, psqlOn } from "../support/database.ts"
import * as Golden from "../support/golden.ts"

const plugins = (): ReadonlyArray<Plugin> => inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]

const expectedOf = (dir: string, name: string, injector: InjectorSetting) =>
  readFileSync(join(dir, "payloads", `${name}.${injector === "on" ? "inj" : "plain"}.norm.txt`), "utf8")
    .split("\n").filter((line) => line !== "").map(ofGolden)

describe("scenarios", () => {
  const used = new Set<string>()
  const scenarios = Golden.directories.flatMap((dir) => Golden.scenarios(dir).map((name) => ({ dir, name })))

  it.each(scenarios)("$name ($dir)", async ({ dir, name }) => {
    const database = `t_golden_${name.slice(0, 2)}_${process.pid}`
    const server = { port: inject("postgresPort"), bin: inject("postgresBin") }
    psqlOn("postgres", `CREATE DATABASE "${database}"`)
    try {
      const url = `postgres://postgres:postgres@127.0.0.1:${server.port}/${database}?sslmode=disable`
      const slots = plugins().map((plugin) => ({ plugin, name: `${plugin}_${database}` }))
      await Effect.runPromise(Golden.prepare(url, slots))
      Golden.runSql(server, database, Golden.scenarioSql(dir, name))
      const facts = Facts.ofRows(psqlOn(database, Facts.query), inject("postgresVersion"))
      for (const { name: slot, plugin } of slots) {
        for (const injector of ["off", "on"] as const) {
          const items = await Effect.runPromise(Golden.decode(url, slot, plugin))
          const outcome = await Effect.runPromise(Golden.deliver(items, injector))
          const again = await Effect.runPromise(Golden.deliver(await Effect.runPromise(Golden.decode(url, slot, plugin)), injector, 1))
          assert.deepStrictEqual(again.sent.map((s) => [s.id, s.body]), outcome.sent.map((s) => [s.id, s.body]), "a replay is the same")
          assert.strictEqual(new Set(outcome.sent.map((s) => s.id)).size, outcome.sent.length, "ids are distinct")
          const got = outcome.sent.map(({ body }) => ofBody(body))
          const verdict = compare({ plugin, injector, facts, expected: expectedOf(dir, name, injector), got })
          for (const id of verdict.used) used.add(id)
          const differences = verdict.differences.map(({ expected, got: ours }) =>
            ({ expected: expected && readable(expected), ours: ours && readable(ours) }))
          assert.deepStrictEqual({ differences, clashes: verdict.clashes }, { differences: [], clashes: [] }, `${plugin} injector ${injector}`)
        }
      }
    } finally {
      dropDatabase(database)
    }
  })

  afterAll(() => {
    const unused = rules.filter((rule) => !used.has(rule.id)).map((rule) => rule.id)
    if (inject("postgresHasWal2json")) assert.deepStrictEqual(unused, [], "rules that no scenario needs")
  })
})
