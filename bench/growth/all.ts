/** All curves, in the order of the tables. */
import type { Growth } from "../parts/Growth.ts"
import { parkedRow } from "./parkedRow.ts"
import * as Store from "./store.ts"
import * as Stream from "./stream.ts"

export const curves: ReadonlyArray<Growth> = [...Stream.curves, ...Store.curves, parkedRow]
