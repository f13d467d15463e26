/**
 * Who asks, in the work of one request: the guard of the API provides it. Without one it is somebody at the command line
 * or an embedder, who may do everything.
 */
import * as Context from "effect/Context"
import type { TokenScope } from "../domain/ApiToken.ts"

export interface Caller {
  /** Name of a token; `PGSTREAM_API_TOKEN`, the one of the configuration; `local`: none was needed. */
  readonly name: string
  /** `read`: no row values, no bodies, URLs without query and userinfo. */
  readonly scope: TokenScope
}

export const local: Caller = { name: "local", scope: "manage" }

export const ApiCaller = Context.Reference<Caller>("pgstream/services/ApiCaller", { defaultValue: () => local })
