/** Flags of every command, and what they and a command's own flags mean for the configuration. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type { AppSettings, Loaded, LoadOptions } from "../app/Configuration.ts"

export const Config = GlobalFlag.Setting("config")({
  flag: Flag.String("config").pipe(
    Flag.withAlias("c"), Flag.withMetavar("FILE"), Flag.optional,
    Flag.withDescription("Configuration file: .env, .yaml or .yml")
  )
})

export const LogLevel = GlobalFlag.Setting("log-level")({
  flag: Flag.Literals("log-level", ["trace", "debug", "info", "warn", "error", "fatal", "panic"]).pipe(
    Flag.optional, Flag.withDescription("Least level that is logged (default info)")
  )
})

export const LogFormat = GlobalFlag.Setting("log-format")({
  flag: Flag.Literals("log-format", ["console", "json"]).pipe(
    Flag.optional, Flag.withDescription("Form of log lines on stderr (default console)")
  )
})

export const NoColor = GlobalFlag.Setting("no-color")({
  flag: Flag.Boolean("no-color").pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription("Log lines without colours"))
})

export const globalFlags = [Config, LogLevel, LogFormat, NoColor] as const

/** A command's own flags, by the id of the key that each sets. */
export type OwnFlags = Readonly<Record<string, { readonly flag: string; readonly value: Option.Option<string> }>>

export const say = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${line}\n`)
  })

/** A result. */
export const print = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stdout.write(`${text}\n`)
  })

/** A result for a program, on several lines: a person reads it, too. */
export const printJson = (value: unknown): Effect.Effect<void> => print(JSON.stringify(value, null, 2))

const flagsOf = Effect.fnUntraced(function*(own: OwnFlags) {
  const level = yield* LogLevel
  const format = yield* LogFormat
  const noColor = yield* NoColor
  const flags: Record<string, { readonly flag: string; readonly value: string }> = {}
  for (const [id, { flag, value }] of Object.entries(own)) {
    if (Option.isSome(value)) flags[id] = { flag, value: value.value }
  }
  if (Option.isSome(level)) flags["log.level"] = { flag: "--log-level", value: level.value }
  if (Option.isSome(format)) flags["log.format"] = { flag: "--log-format", value: format.value }
  if (noColor) flags["log.noColor"] = { flag: "--no-color", value: "true" }
  return flags
})

export interface Configured extends Loaded {
  readonly file: string | undefined
}

/** Reads the configuration and says what it warns of. Fails only when the file cannot be read. */
export const configure = Effect.fn("cli.configure")(function*(own: OwnFlags, options: Pick<LoadOptions, "needTarget" | "copy">) {
  const file = Option.getOrUndefined(yield* Config)
  const flags = yield* flagsOf(own)
  const configuration = yield* Effect.promise(() => import("../app/Configuration.ts"))
  if (file !== undefined) yield* say(`using config file: ${file}`)
  const loaded = yield* configuration.load({ file, flags, ...options })
  for (const warning of loaded.warnings) yield* say(`WARNING  ${warning}`)
  return { ...loaded, file }
})

/** The settings, or every problem at once (exit code 3). */
export const settingsOf = (loaded: Loaded): Effect.Effect<AppSettings, Error> =>
  Effect.promise(() => import("../app/Configuration.ts")).pipe(Effect.flatMap((module) => module.usable(loaded)))

/** How this very configuration is named on a command line, for the next command that we suggest. */
export const sameConfiguration = (file: string | undefined): string => (file === undefined ? "" : ` -c ${file}`)
