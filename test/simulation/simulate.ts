/**
 * The long form of `simulation.test.ts`: `SEED=1 RUNS=100000 npm run simulate`. Prints each seed that goes wrong and
 * what; exit 1 if any did. `RULE=<name>` takes a rule back and counts the seeds that catch it.
 */
import * as Rules from "../../src/domain/Rules.ts"
import { ruleNames, runSeed } from "./search.ts"

const numberOf = (name: string, otherwise: number): number => {
  const text = process.env[name]
  const value = text === undefined || text === "" ? otherwise : Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name}: not a whole number: ${text}`)
  return value
}

const from = numberOf("SEED", Math.floor(Math.random() * 1_000_000_000))
const runs = numberOf("RUNS", 10_000)
const rule = ruleNames.find((name) => name === process.env["RULE"])
const rules = rule === undefined ? Rules.all : Rules.without(rule)

let wrong = 0
for (let seed = from; seed < from + runs; seed++) {
  const failure = runSeed(seed, rules)
  if (failure === undefined) continue
  wrong++
  if (wrong <= 20) console.log(`seed ${seed}: ${failure.what}`)
}
console.log(`${runs} runs from seed ${from}${rule === undefined ? "" : ` without ${rule}`}: ${wrong} went wrong`)
process.exitCode = wrong > 0 && rule === undefined ? 1 : 0
