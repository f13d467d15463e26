/** All scenarios, in the order of the tables. */
import type { Scenario } from "../parts/Scenario.ts"
import * as Backlog from "./backlog.ts"
import * as Batch from "./batch.ts"
import * as Decode from "./decode.ts"
import * as Fairness from "./fairness.ts"
import * as Injector from "./injector.ts"
import * as Latency from "./latency.ts"
import * as Memory from "./memory.ts"
import * as Parking from "./parking.ts"
import * as Snapshot from "./snapshot.ts"
import * as Start from "./start.ts"
import * as Ten from "./ten.ts"
import * as Transaction from "./transaction.ts"
import * as Unsubscribed from "./unsubscribed.ts"

export const scenarios: ReadonlyArray<Scenario> = [
  ...Backlog.scenarios, Memory.scenario, ...Fairness.scenarios, Batch.scenario, Ten.scenario, Latency.scenario, ...Decode.scenarios, ...Unsubscribed.scenarios,
  Transaction.scenario, Snapshot.scenario, Parking.scenario, Start.scenario, Injector.scenario
]
