/** The way of the CLI and of embedders to the settings. */
import * as Result from "effect/Result"
import * as Value from "../settings/Value.ts"

export { ConfigurationError } from "../settings/ConfigurationError.ts"
export { load, usable, type Loaded, type LoadOptions } from "../settings/Load.ts"
export type { AppSettings } from "../settings/Resolve.ts"

/** ms of `60s`, `1m30s`, …; `undefined`: no duration. */
export const durationMs = (text: string): number | undefined => Result.getOrUndefined(Value.durationMs(text))
