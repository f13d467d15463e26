/** Typed access to what was set: a value that cannot be read becomes a problem, and its default holds for the rest. */
import * as Result from "effect/Result"
import * as TablePattern from "../../domain/TablePattern.ts"
import type { Collected, Found } from "./Collect.ts"
import * as Value from "./Value.ts"

/** How an error about these begins, as people know it. */
const unsupported: Readonly<Record<string, string>> = {
  "source.mode": "unsupported postgres source mode, ",
  "snapshot.content": "unsupported snapshot mode, ",
  "snapshot.schemaMode": "unsupported schema snapshot mode, "
}

export class Reader {
  private readonly collected: Collected
  private readonly reported = new Set<string>()

  constructor(collected: Collected) {
    this.collected = collected
  }

  has(id: string): boolean {
    return this.collected.found.has(id)
  }

  originOf(id: string): Found["origin"] | undefined {
    return this.collected.found.get(id)?.origin
  }

  /** Written as a variable, in the environment or in a `.env` file. */
  isVariable(id: string): boolean {
    const found = this.collected.found.get(id)
    return found !== undefined && found.name.startsWith("PGSTREAM_")
  }

  problem(id: string, message: string): void {
    const found = this.collected.found.get(id)
    this.collected.problems.push({ where: found?.where ?? "configuration", key: found?.name ?? id, message })
  }

  warning(id: string, message: string): void {
    const found = this.collected.found.get(id)
    this.collected.warnings.push({ where: found?.where ?? "configuration", key: found?.name ?? id, message })
  }

  /** A key that is set nowhere. */
  missing(key: string, message: string): void {
    if (this.collected.unreadable) return
    this.collected.problems.push({ where: "configuration", key, message })
  }

  text(id: string): string | undefined {
    const found = this.collected.found.get(id)
    if (found === undefined) return undefined
    if (typeof found.value === "string") return found.value
    this.once(id, "is a list where one value is expected")
    return undefined
  }

  /** The items of a list; of one text, split at blanks and commas outside of double quotes. */
  list(id: string): ReadonlyArray<string> | undefined {
    const value = this.collected.found.get(id)?.value
    return typeof value === "string" ? TablePattern.split(value) : value
  }

  parsed<A>(id: string, parse: (text: string) => Value.Parsed<A>): A | undefined {
    const text = this.text(id)
    if (text === undefined) return undefined
    const value = parse(text)
    if (Result.isSuccess(value)) return value.success
    this.once(id, value.failure)
    return undefined
  }

  choice<const A extends ReadonlyArray<string>>(id: string, choices: A): A[number] | undefined {
    return this.parsed(id, (text): Value.Parsed<A[number]> => {
      const found = choices.find((choice) => choice === text)
      if (found !== undefined) return Result.succeed(found)
      return Result.fail(`${unsupported[id] ?? ""}must be one of ${choices.map((c) => `'${c}'`).join(", ").replace(/, ([^,]*)$/, " or $1")}`)
    })
  }

  boolean(id: string, standard: boolean): boolean {
    return this.optionalBoolean(id) ?? standard
  }

  optionalBoolean(id: string): boolean | undefined {
    return this.parsed(id, Value.boolean)
  }

  count(id: string, standard: number): number {
    const range = this.collected.found.get(id)?.key.range ?? [1, Number.MAX_SAFE_INTEGER]
    return this.parsed(id, (text) => Value.count(text, range)) ?? standard
  }

  bytes(id: string, standard: number): number {
    return this.parsed(id, Value.bytes) ?? standard
  }

  duration(id: string, standard: number): number {
    return this.optionalDuration(id) ?? standard
  }

  /** ms. Zero and below stand for the default, as they always did; a line says so. */
  optionalDuration(id: string): number | undefined {
    const found = this.collected.found.get(id)
    const ms = this.parsed(id, (text) => this.durationOf(found, text))
    if (ms === undefined || ms > 0) return ms
    this.warning(id, "is not above zero: the default holds")
    return undefined
  }

  /** ms. 0 means something: never, or none. */
  durationOrZero(id: string, standard: number): number {
    const found = this.collected.found.get(id)
    return this.parsed(id, (text) => Result.flatMap(this.durationOf(found, text), (ms) =>
      ms < 0 ? Result.fail("is below zero") : Result.succeed(ms))) ?? standard
  }

  /** A list, or one text with blanks or commas between. Never empty. */
  durations(id: string): ReadonlyArray<number> | undefined {
    const found = this.collected.found.get(id)
    if (found === undefined) return undefined
    const items = typeof found.value === "string" ? found.value.split(/[\s,]+/).filter((item) => item !== "") : found.value
    const out: Array<number> = []
    for (const item of items) {
      const value = this.durationOf(found, item)
      if (Result.isFailure(value)) return void this.once(id, value.failure)
      if (value.success <= 0) return void this.once(id, "has a wait that is not above zero")
      out.push(value.success)
    }
    if (out.length === 0) return void this.once(id, "is empty")
    return out
  }

  private durationOf(found: Found | undefined, text: string): Value.Parsed<number> {
    const unit = found?.key.yamlUnit
    if (found?.plain !== true || unit === undefined || !/^[+-]?\d+(?:\.\d+)?$/.test(text)) return Value.durationMs(text)
    return /^[+-]?\d+$/.test(text)
      ? Value.durationMs(`${text}${unit}`)
      : Result.fail(`must be a whole number of ${unit === "s" ? "seconds" : "milliseconds"}, or a duration such as 1500ms`)
  }

  private once(id: string, message: string): void {
    if (this.reported.has(id)) return
    this.reported.add(id)
    this.problem(id, message)
  }
}
