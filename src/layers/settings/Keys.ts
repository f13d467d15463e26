/** The whole table of keys, and how a name is looked up in it. */
import { nearest } from "../../domain/Nearest.ts"
import type { Key } from "./Key.ts"
import { notYet, refusedPrefixes } from "./KeysLater.ts"
import { working } from "./KeysWorking.ts"

export const sections = [...working, ...notYet]
export const keys: ReadonlyArray<Key> = sections.flatMap((section) => section.keys)

const byEnv = new Map(keys.flatMap((key) => (key.env === undefined ? [] : [[key.env, key] as const])))
const byYaml = new Map(keys.flatMap((key) => (key.yaml === undefined ? [] : [[key.yaml, key] as const])))

/** Kubernetes makes these for a Service named `pgstream` (or `pgstream-api`, …): nobody wrote them. */
const fromKubernetes = /^PGSTREAM_(?:[A-Z0-9_]*_)?(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)$/

export const passedOver = (name: string): boolean =>
  name.startsWith("PGSTREAM_SERVICE_") || fromKubernetes.test(name) || name.startsWith("PGSTREAM_TEST_") || name.startsWith("PGSTREAM_DEMO_")

/** `file`: the variable names a file that holds the value (`…_FILE`). */
export interface EnvName {
  readonly key: Key
  readonly file: boolean
}

export const envKey = (name: string): EnvName | undefined => {
  const exact = byEnv.get(name)
  if (exact !== undefined) return { key: exact, file: false }
  if (name.endsWith("_FILE")) {
    const base = byEnv.get(name.slice(0, -5))
    if (base !== undefined) return { key: base, file: true }
  }
  const prefix = refusedPrefixes.find(([p]) => name.startsWith(p))
  if (prefix === undefined) return undefined
  return { key: { id: name, env: name, yaml: undefined, kind: "any", state: "refused", standard: "", meaning: prefix[1] }, file: false }
}

/** The key of a leaf at this path: its own, one whose subtree holds it, or (`…_file`) the one whose file it names. */
export const yamlKey = (path: string): EnvName | undefined => {
  const exact = byYaml.get(path)
  if (exact !== undefined) return { key: exact, file: false }
  if (path.endsWith("_file")) {
    const base = byYaml.get(path.slice(0, -5))
    if (base !== undefined && base.state === "works") return { key: base, file: true }
  }
  for (let at = path.lastIndexOf("."); at > 0; at = path.lastIndexOf(".", at - 1)) {
    const parent = byYaml.get(path.slice(0, at))
    if (parent?.subtree === true) return { key: parent, file: false }
  }
  return undefined
}

/** A mapping at this path is expected: some key lies below it. */
export const isSection = (path: string): boolean => {
  for (const known of byYaml.keys()) if (known.startsWith(`${path}.`)) return true
  return false
}

/** Nearest among the children that `parent` may have, as a whole path; else nearest of all paths. */
export const nearestYaml = (path: string): string | undefined => {
  const parent = path.includes(".") ? path.slice(0, path.lastIndexOf(".") + 1) : ""
  const children = new Set<string>()
  for (const known of byYaml.keys()) {
    if (known.startsWith(parent)) children.add(parent + (known.slice(parent.length).split(".")[0] ?? ""))
  }
  return nearest(path, children) ?? nearest(path, byYaml.keys())
}

export const nearestEnv = (name: string): string | undefined => nearest(name, byEnv.keys())
