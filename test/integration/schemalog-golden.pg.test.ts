/**
 * Conformance in small: every golden scenario, both plugins, injector on and off, without the network. What no rule
 * of test/support/goldenRules.ts explains fails, and so does a rule that no scenario needs.
 */
import * as Effect from "effect/Effect"
import { afterAll, assert, describe, inject, it } from "vitest"
import type { Plugin } from "../../src/services/ChangeSource.ts"
import { dropDatabase, psqlOn } from "../support/database.ts"
import * as Golden from "../support/golden.ts"
import { applied, rules, runOf } from "../support/goldenRules.ts"

const plugins = (): ReadonlyArray<Plugin> => inject("postgresHasWal2json") ? ["pgoutput", "wal2json"] : ["pgoutput"]

describe.skipIf(!Golden.hasGolden)("golden scenarios", () => {
  const used = new Set<string>()
  const names = Golden.scenarios()

  it.each(names)("%s", async (name) => {
    const database = `t_golden_${name.slice(0, 2)}_${process.pid}`
    const server = { port: inject("postgresPort"), bin: inject("postgresBin") }
    psqlOn("postgres", `CREATE DATABASE "${database}"`)
    try {
      const url = `postgres://postgres:postgres@127.0.0.1:${server.port}/${database}?sslmode=disable`
      const slots = plugins().map((plugin) => ({ plugin, name: `${plugin}_${database}` }))
      await Effect.runPromise(Golden.prepare(url, slots))
      Golden.runSql(server, database, Golden.scenarioSql(name))
      for (const { name: slot, plugin } of slots) {
        for (const injector of ["plain", "inj"] as const) {
          const items = await Effect.runPromise(Golden.decode(url, slot, plugin))
          const outcome = await Effect.runPromise(Golden.deliver(items, injector))
          const again = await Effect.runPromise(Golden.deliver(await Effect.runPromise(Golden.decode(url, slot, plugin)), injector, 1))
          assert.deepStrictEqual(again.sent.map((s) => [s.id, s.body]), outcome.sent.map((s) => [s.id, s.body]), "a replay is the same")
          assert.strictEqual(new Set(outcome.sent.map((s) => s.id)).size, outcome.sent.length, "ids are distinct")
          const { run, used: by } = applied(runOf(plugin, injector, Golden.golden(name, injector), outcome))
          for (const id of by) used.add(id)
          const ours = Golden.normalise(run.ours.map((o) => o.data))
          assert.deepStrictEqual(ours, Golden.normalise(run.expected), `${plugin} ${injector}`)
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
