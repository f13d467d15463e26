/** Golden's events and ours, by the rules: what is left is a failure. */
import { align, clashes, type Alignment, type Difference } from "./Align.ts"
import { isEntry, plain, valueOf, version, withVersion, type Data } from "./Payload.ts"
import type { Context, Rule } from "./Rule.ts"
import { rules as allRules } from "./rules.ts"

export interface Verdict {
  /** What no rule explains. */
  readonly differences: ReadonlyArray<Difference>
  readonly clashes: ReadonlyArray<string>
  /** Rules that something here needed. */
  readonly used: ReadonlySet<string>
}

export const applies = (rule: Rule, context: Pick<Context, "plugin" | "injector">): boolean =>
  (rule.plugin ?? context.plugin) === context.plugin && (rule.injector ?? context.injector) === context.injector

/** Ours as if `entry` had not been made: the schema's next versions count one less, its events carry the entry before. */
const takenBack = (got: ReadonlyArray<Data>, entry: Data): ReadonlyArray<Data> => {
  const schema = valueOf(entry, "schema_name")
  const id = String(valueOf(entry, "id"))
  const at = got.indexOf(entry)
  const isOf = (data: Data) => isEntry(data) && valueOf(data, "schema_name") === schema
  const before = got.slice(0, at).findLast(isOf)
  const previous = before === undefined ? null : String(valueOf(before, "id"))
  return got.flatMap((data) => {
    if (data === entry) return []
    if (isOf(data) && version(data) > version(entry)) return [withVersion(data, version(data) - 1)]
    if (data.metadata.schema_id === null || plain(data.metadata.schema_id) !== plain(id)) return [data]
    return [{ ...data, metadata: { ...data.metadata, schema_id: previous } }]
  })
}

interface State {
  context: Context
  readonly rules: ReadonlyArray<Rule>
  readonly used: Set<string>
}

const explainedBy = (difference: Difference, { context, rules }: State): Rule | undefined =>
  rules.find((rule) => rule.explains?.(difference, context) === true)

const aligned = (state: State): Alignment => {
  const { expected, got } = state.context
  return align(expected, got, (difference) => {
    const rule = explainedBy(difference, state)
    if (rule !== undefined) return true
    return difference.got !== undefined && isEntry(difference.got) &&
      state.rules.some((one) => one.addsEntry?.(difference.got!, state.context) === true)
  })
}

/** Takes back one entry that golden lacks and a rule adds; false if there is none. */
const takeBackOne = (state: State, { differences }: Alignment): boolean => {
  for (const { expected, got } of differences) {
    if (expected !== undefined || got === undefined || !isEntry(got)) continue
    const rule = state.rules.find((one) => one.addsEntry?.(got, state.context) === true)
    if (rule === undefined) continue
    state.used.add(rule.id)
    state.context = { ...state.context, got: takenBack(state.context.got, got) }
    return true
  }
  return false
}

export const compare = (given: Context, rules: ReadonlyArray<Rule> = allRules): Verdict => {
  const state: State = { context: given, rules: rules.filter((rule) => applies(rule, given)), used: new Set() }
  for (const rule of state.rules) {
    const next = rule.rewrites?.(state.context)
    if (next === undefined || (next.expected === state.context.expected && next.got === state.context.got)) continue
    state.used.add(rule.id)
    state.context = { ...state.context, ...next }
  }
  let alignment = aligned(state)
  while (takeBackOne(state, alignment)) alignment = aligned(state)
  const differences = alignment.differences.filter((difference) => {
    const rule = explainedBy(difference, state)
    if (rule !== undefined) state.used.add(rule.id)
    return rule === undefined
  })
  return { differences, clashes: clashes(alignment.matched), used: state.used }
}
