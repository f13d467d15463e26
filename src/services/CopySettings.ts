/** Bounds of copies, each with its unit and default: the seed's worker and batch settings stand for them. */
import * as Context from "effect/Context"

export interface CopySettingsShape {
  /** Tables of one copy that are read at a time. Default 4. */
  readonly tables: number
  /** Ranges of one table that are read at a time. Default 4. */
  readonly ranges: number
  /** Bytes of values of one range. Default 512 KiB. */
  readonly rangeBytes: number
  /** Bytes of one copy that are read and not settled yet, one range at least. Default 2 MiB. */
  readonly unsettledBytes: number
  /** Connections to the source for all copies. Default 4. */
  readonly connections: number
  /** How often it is asked for new copies, and for those that were paused or cancelled, ms. Default 1,000. */
  readonly pollMs: number
}
export const copyDefaults: CopySettingsShape = {
  tables: 4, ranges: 4, rangeBytes: 512 * 1024, unsettledBytes: 2 * 1024 * 1024, connections: 4, pollMs: 1_000
}
/** Without a Layer for it: the defaults. */
export const CopySettings = Context.Reference<CopySettingsShape>("pgstream/services/CopySettings", {
  defaultValue: () => copyDefaults
})
