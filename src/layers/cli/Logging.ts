/**
 * Log lines on stderr: `TIME LVL message key=value …`, or one JSON object a line.
 *
 * Values of rows never come this far; of a database's own errors that would quote one (classes 22 and 23) only the
 * code is shown.
 */
import * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

export interface LogSettings {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal"
  readonly format: "console" | "json"
  readonly noColor: boolean
}

const levels: Readonly<Record<LogSettings["level"], LogLevel.LogLevel>> = {
  trace: "Trace", debug: "Debug", info: "Info", warn: "Warn", error: "Error", fatal: "Fatal"
}

const short: Readonly<Record<string, readonly [text: string, colour: number]>> = {
  Trace: ["TRC", 90], Debug: ["DBG", 36], Info: ["INF", 32], Warn: ["WRN", 33], Error: ["ERR", 31], Fatal: ["FTL", 31]
}

/** SQLSTATE anywhere below an error. */
const sqlState = (error: unknown, depth = 0): string | undefined => {
  if (typeof error !== "object" || error === null || depth > 5) return undefined
  if ("code" in error && typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code)) return error.code
  for (const name of ["cause", "reason"] as const) {
    const below = name in error ? sqlState((error as Record<string, unknown>)[name], depth + 1) : undefined
    if (below !== undefined) return below
  }
  return undefined
}

/** One line for an error, without what it may quote. */
export const describeError = (error: unknown): string => {
  if (!(error instanceof Error)) return typeof error
  const state = sqlState(error)
  const name = "_tag" in error ? String(error._tag) : error.name
  if (state !== undefined && /^2[23]/.test(state)) return `${name} SQLSTATE ${state}`
  const text = error.message.split("\n").find((line) => line.trim() !== "") ?? ""
  return `${name}${text === "" || text === name ? "" : `: ${text.slice(0, 300)}`}${state === undefined ? "" : ` (SQLSTATE ${state})`}`
}

const plain = (value: unknown): unknown =>
  value instanceof Error ? describeError(value)
    : typeof value === "bigint" ? value.toString()
    : typeof value === "object" && value !== null ? "[object]"
    : value

const quoteIfNeeded = (value: unknown): string => {
  const text = String(value)
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

interface Line {
  readonly time: string
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

const lineOf = (options: Logger.Options<unknown>): Line => {
  const parts = Array.isArray(options.message) ? options.message : [options.message]
  const texts = parts.filter((part) => typeof part === "string")
  const annotations = options.fiber.getRef(References.CurrentLogAnnotations)
  const errors = [...parts.filter((part) => part instanceof Error).map(describeError), ...Cause.prettyErrors(options.cause).map(describeError)]
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(annotations)) fields[name] = plain(value)
  if (errors.length > 0) fields["error"] = errors.join("; ")
  return { time: options.date.toISOString(), level: options.logLevel, message: texts.join(" "), fields }
}

const console = (line: Line, colours: boolean): string => {
  const [text, colour] = short[line.level] ?? [line.level.slice(0, 3).toUpperCase(), 0]
  const level = colours ? `\u001b[${colour}m${text}\u001b[0m` : text
  const fields = Object.entries(line.fields).map(([name, value]) => ` ${name}=${quoteIfNeeded(value)}`).join("")
  return `${line.time} ${level} ${line.message}${fields}`
}

const json = (line: Line): string =>
  JSON.stringify({ time: line.time, level: line.level.toLowerCase(), message: line.message, ...line.fields })

export const layer = (settings: LogSettings): Layer.Layer<never> => {
  const colours = !settings.noColor && process.stderr.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""
  const logger = Logger.make<unknown, void>((options) => {
    const line = lineOf(options)
    process.stderr.write(`${settings.format === "json" ? json(line) : console(line, colours)}\n`)
  })
  return Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, levels[settings.level]))
}
