/**
 * `${NAME}` and `${NAME:-default}` in files. `$${` stands for `${`; any other `$` stays as it is.
 * Fails with the name that is set nowhere.
 */
import * as Result from "effect/Result"

export type Lookup = (name: string) => string | undefined

export const expand = (text: string, lookup: Lookup): Result.Result<string, string> => {
  let missing: string | undefined
  const out = text.replaceAll(/\$\$\{|\$\{([^}]*)\}/g, (whole, inner?: string) => {
    if (inner === undefined) return "${"
    const [, name = "", fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(inner) ?? []
    const value = name === "" ? undefined : lookup(name)
    if (value !== undefined && (value !== "" || fallback === undefined)) return value
    if (fallback !== undefined) return fallback
    missing ??= name === "" ? inner : name
    return whole
  })
  if (missing !== undefined) return Result.fail(`refers to \${${missing}}, which is not set`)
  return Result.succeed(out)
}

/** Names that a text refers to. */
export const references = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)/g)].map((match) => match[1] ?? "")
