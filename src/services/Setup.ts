/** What `init`, `destroy` and `status` do to and ask of the databases. Idempotent; on failure only what this call made is removed. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Plugin } from "./ChangeSource.ts"

export interface InitOptions {
  /** Default `pgoutput` for a new slot; an existing slot keeps the plugin that it has. */
  readonly plugin: Plugin | undefined
  /** Take over endpoints of another or a lost stream. */
  readonly adopt: boolean
  readonly keepIdentities: boolean
  /** How long to wait for older transactions, ms. Default 300,000. */
  readonly waitMs: number
  /** One line for the person who waits (names of sessions). */
  readonly progress: (line: string) => void
}

/** What the SQL of an administrator is for; as in `InitOptions`. */
export type PrintOptions = Pick<InitOptions, "plugin" | "keepIdentities">

export interface InitReport {
  readonly slotCreated: boolean
  readonly plugin: Plugin
  /** What the operator should know: taken over, paused endpoints, tables not covered, stretches that were lost. */
  readonly notes: ReadonlyArray<string>
}

export interface DestroyReport {
  readonly slotExisted: boolean
  readonly notes: ReadonlyArray<string>
}

/** A finding and the command that mends it. */
export interface Finding {
  readonly area: "init" | "config" | "rules" | "source" | "delivery"
  /** Area `init` only: the line of the status block that it belongs to. */
  readonly part?: "schema" | "migration" | "slot"
  readonly code: string
  readonly summary: string
  readonly mend: string
}

export interface StatusReport {
  readonly schemaExists: boolean
  readonly schemaLogExists: boolean
  readonly migrationVersion: number
  readonly migrationDirty: boolean
  readonly slotName: string
  readonly slotPlugin: string
  readonly slotDatabase: string
  readonly reachable: boolean
  readonly findings: ReadonlyArray<Finding>
  /** What is as it should be and worth knowing: it does not make `status` fail. */
  readonly notes: ReadonlyArray<string>
}

export class Setup extends Context.Service<Setup, {
  init(options: InitOptions): Effect.Effect<InitReport, SetupError>
  /** The schema of both databases and nothing besides: what a snapshot without a slot needs. */
  readonly migrate: Effect.Effect<void, SetupError>
  readonly destroy: Effect.Effect<DestroyReport, SetupError>
  /** Never fails for what it finds: that is in the report. */
  readonly status: Effect.Effect<StatusReport>
  /** Before `run`: fails with exit code 4 when the schema is older than the program, or something is missing. */
  readonly check: Effect.Effect<void, SetupError>
  /** Before a snapshot without a slot, which needs the schema alone. Answers with what an operator should know. */
  readonly checkAlone: Effect.Effect<ReadonlyArray<string>, SetupError>
  /**
   * What an administrator must run so that the role of the source's URL may do the rest: a script for `psql`, with what
   * is missing and no more. Changes nothing.
   */
  sql(options: PrintOptions): Effect.Effect<string, SetupError>
}>()("pgstream/services/Setup") {}

export class SetupError extends Schema.TaggedError<SetupError>()("SetupError", {
  code: Schema.String,
  /** 1 failed · 4 precondition of the environment. */
  exitCode: Schema.Literals([1, 4]),
  summary: Schema.String,
  mend: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return this.mend === "" ? `${this.summary}  ${this.code}` : `${this.summary}\n\n  ${this.mend}\n\n${this.code}`
  }
}
