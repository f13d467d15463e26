/**
 * What was set, and where: flags, environment and file put together, flag > environment > file. Finds unknown keys,
 * follows `…_FILE`, replaces `${VAR}`, and says where a variable overrides a file. Pure but for `readFile`.
 */
import * as Result from "effect/Result"
import * as EnvFile from "./EnvFile.ts"
import * as Expand from "./Expand.ts"
import type { Key } from "./Key.ts"
import { envKey, isSection, nearestEnv, nearestYaml, passedOver, yamlKey, type EnvName } from "./Keys.ts"
import type { FileEntry } from "./ParsedFile.ts"
import * as YamlFile from "./YamlFile.ts"

/** `where`: `pg.yaml:7`, `environment`, `flag`. Never holds a value. */
export interface Problem {
  readonly where: string
  readonly key: string
  readonly message: string
}

export interface Input {
  /** Name of a flag, by the id of the key that it sets. */
  readonly flags: Readonly<Record<string, { readonly flag: string; readonly value: string } | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file: { readonly name: string; readonly text: string } | undefined
  /** The text of a file that `…_FILE` names, or why it cannot be read. */
  readonly readFile: (path: string) => Result.Result<string, string>
}

export interface Found {
  readonly key: Key
  /** As the person wrote it: flag, variable or path. */
  readonly name: string
  readonly where: string
  readonly origin: "flag" | "environment" | "file"
  readonly value: string | ReadonlyArray<string>
  readonly plain: boolean
}

export interface Collected {
  /** The file has errors of syntax, so what it sets is not known: nothing that is missing can be said. */
  readonly unreadable: boolean
  /** By key id; the highest source of each. */
  readonly found: ReadonlyMap<string, Found>
  readonly problems: Array<Problem>
  readonly warnings: Array<Problem>
  /** PG* variables: of the environment, else of the file. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

export const isYaml = (name: string): boolean => /\.ya?ml$/i.test(name)

export const collect = (input: Input): Collected => {
  const problems: Array<Problem> = []
  const warnings: Array<Problem> = []
  const file = input.file
  const parsed = file === undefined ? undefined : isYaml(file.name) ? YamlFile.parse(file.text) : EnvFile.parse(file.text)
  for (const { line, message } of parsed?.problems ?? []) problems.push({ where: `${file?.name}:${line}`, key: "", message })
  const entries = parsed?.entries ?? []
  const ofFile = new Map(file !== undefined && !isYaml(file.name) ? entries.flatMap((e) => (typeof e.value === "string" ? [[e.name, e.value] as const] : [])) : [])
  const lookup = (name: string) => input.env[name] ?? ofFile.get(name)

  const found = new Map<string, Found>()
  if (file !== undefined) fromFile(file.name, entries, lookup, input.readFile, found, problems, warnings)
  fromEnvironment(input, found, problems, warnings)
  for (const [id, flag] of Object.entries(input.flags)) {
    const key = flag === undefined ? undefined : keyOfFlag(id, flag.flag)
    if (key !== undefined && flag !== undefined) {
      found.set(id, { key, name: flag.flag, where: "flag", origin: "flag", value: flag.value, plain: false })
    }
  }
  const unreadable = (parsed?.problems.length ?? 0) > 0
  return { unreadable, found, problems, warnings, variables: { ...Object.fromEntries([...ofFile].filter(([name]) => name.startsWith("PG"))), ...input.env } }
}

const keyOfFlag = (id: string, flag: string): Key => {
  const kind = id === "source.url" ? "url" : id === "source.slot" ? "slot" : "text"
  return { id, env: undefined, yaml: undefined, kind, state: "works", standard: "", meaning: flag }
}

const fromFile = (
  file: string, entries: ReadonlyArray<FileEntry>, lookup: Expand.Lookup, readFile: Input["readFile"],
  found: Map<string, Found>, problems: Array<Problem>, warnings: Array<Problem>
): void => {
  const yaml = isYaml(file)
  const lines = new Map<string, number>()
  const used = new Set(entries.flatMap((e) => [e.value].flat().flatMap((text) => (text === undefined ? [] : Expand.references(text)))))
  for (const entry of entries) {
    const where = `${file}:${entry.line}`
    const earlier = lines.get(entry.name)
    // YAML refuses this itself.
    if (earlier !== undefined) warnings.push({ where, key: entry.name, message: `is in line ${earlier}, too; the last one holds` })
    lines.set(entry.name, entry.line)
    const name = yaml ? yamlKey(entry.name) : envKey(entry.name)
    if (name === undefined) {
      if (!yaml && !entry.name.startsWith("PGSTREAM_") && (used.has(entry.name) || /^PG[A-Z]+$/.test(entry.name))) continue
      problems.push({ where, key: entry.name, message: unknown(entry, yaml) })
      continue
    }
    if (entry.value === undefined || entry.value === "" && !entry.mapping) continue
    if (entry.mapping && name.key.subtree !== true) {
      problems.push({ where, key: entry.name, message: "is a mapping where a value is expected" })
      continue
    }
    const value = entry.expand ? expandAll(entry.value, lookup) : Result.succeed(entry.value)
    if (Result.isFailure(value)) problems.push({ where, key: entry.name, message: value.failure })
    else put({ name, text: entry.name, value: value.success, where, origin: "file", plain: entry.plain }, readFile, found, problems)
  }
}

const unknown = (entry: FileEntry, yaml: boolean): string => {
  if (yaml && isSection(entry.name)) return "is a value where a mapping is expected"
  const near = yaml ? nearestYaml(entry.name) : nearestEnv(entry.name)
  return `is no known key${near === undefined ? "" : `; the nearest is ${near}`}`
}

const expandAll = (value: string | ReadonlyArray<string>, lookup: Expand.Lookup): Result.Result<string | ReadonlyArray<string>, string> => {
  if (typeof value === "string") return Expand.expand(value, lookup)
  const out: Array<string> = []
  for (const item of value) {
    const expanded = Expand.expand(item, lookup)
    if (Result.isFailure(expanded)) return expanded
    out.push(expanded.success)
  }
  return Result.succeed(out)
}

const fromEnvironment = (input: Input, found: Map<string, Found>, problems: Array<Problem>, warnings: Array<Problem>): void => {
  const taken = new Map<string, Found>()
  for (const [text, value] of Object.entries(input.env)) {
    if (!text.startsWith("PGSTREAM_") || value === undefined || value === "") continue
    const name = envKey(text)
    if (name !== undefined) {
      put({ name, text, value, where: "environment", origin: "environment", plain: false }, input.readFile, taken, problems)
    } else if (!passedOver(text)) {
      const near = nearestEnv(text)
      warnings.push({ where: "environment", key: text, message: `is no known variable and is not used${near === undefined ? "" : `; the nearest is ${near}`}` })
    }
  }
  for (const [id, entry] of taken) {
    const below = found.get(id)
    if (below !== undefined && String(below.value) !== String(entry.value)) {
      warnings.push({ where: "environment", key: entry.name, message: `overrides ${below.name} of ${below.where}` })
    }
    found.set(id, entry)
  }
}

interface Written {
  readonly name: EnvName
  readonly text: string
  readonly value: string | ReadonlyArray<string>
  readonly where: string
  readonly origin: "environment" | "file"
  readonly plain: boolean
}

const put = (written: Written, readFile: Input["readFile"], found: Map<string, Found>, problems: Array<Problem>): void => {
  const { name, text, where, origin, plain } = written
  let value = written.value
  const before = found.get(name.key.id)
  if (before !== undefined && before.key === name.key && before.name !== text && name.key.subtree !== true) {
    problems.push({ where, key: text, message: `and ${before.name} say the same; keep one` })
    return
  }
  if (name.file) {
    const read = readFile(String(value))
    if (Result.isFailure(read)) {
      problems.push({ where, key: text, message: `names a file that cannot be read (${read.failure})` })
      return
    }
    value = read.success.replace(/\r?\n$/, "")
    if (value === "") {
      problems.push({ where, key: text, message: "names a file that is empty" })
      return
    }
  }
  found.set(name.key.id, { key: name.key, name: text, where, origin, value, plain })
}
