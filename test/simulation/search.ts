/** Runs by seed: all of them with every rule, or until the first that catches the absence of one. */
import * as Rules from "../../src/domain/Rules.ts"
import { randomPlan } from "./Plan.ts"
import { Random } from "./Random.ts"
import { run } from "./Simulation.ts"

export interface Failure {
  readonly seed: number
  readonly what: string
}

/** The run of a seed is the same wherever and whenever it runs. */
export const runSeed = (seed: number, rules: Rules.Rules): Failure | undefined => {
  const what = run(seed, randomPlan(new Random(seed + 1_000_000)), rules)
  return what === undefined ? undefined : { seed, what }
}

export const failuresOf = (from: number, runs: number): ReadonlyArray<Failure> => {
  const failures: Array<Failure> = []
  for (let seed = from; seed < from + runs; seed++) {
    const failure = runSeed(seed, Rules.all)
    if (failure !== undefined) failures.push(failure)
  }
  return failures
}

/** The first seed at which the run without the rule goes wrong and the run with it does not. */
export const seedThatCatches = (name: Rules.RuleName, from: number, runs: number): Failure | undefined => {
  const rules = Rules.without(name)
  for (let seed = from; seed < from + runs; seed++) {
    const failure = runSeed(seed, rules)
    if (failure !== undefined && runSeed(seed, Rules.all) === undefined) return failure
  }
  return undefined
}

export const ruleNames = Object.keys(Rules.all) as ReadonlyArray<Rules.RuleName>
