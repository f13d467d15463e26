/**
 * What a configuration key is: one row of the table that the resolver, `docs/configuration.md` and its test read.
 *
 * - Names: `env` in the environment and in `.env` files, `yaml` (dotted path) in YAML files; either may be missing.
 * - `state`: *works* · *later* (only tunes or observes, accepted with a warning) · *refused* (would change what is
 *   sent, so it is an error until it is there).
 */
export type Kind =
  | "url" | "secret" | "text" | "slot" | "duration" | "bytes" | "count" | "boolean" | "address" | "choice" | "list"
  | "durations" | "any"

export interface Key {
  /** Name inside the program; several rows may share one (an old name beside the new one). */
  readonly id: string
  readonly env: string | undefined
  readonly yaml: string | undefined
  readonly kind: Kind
  readonly state: "works" | "later" | "refused"
  /** In words, for the docs: what it does, or why it is not there. */
  readonly meaning: string
  /** As a person would write it; `""`: none. */
  readonly standard: string
  /** Unit of a bare integer in YAML; required for durations that have a YAML name. */
  readonly yamlUnit?: "s" | "ms"
  readonly choices?: ReadonlyArray<string>
  /** Smallest and greatest allowed whole number, for `count`. */
  readonly range?: readonly [number, number]
  /** Everything below this YAML path belongs to the key. */
  readonly subtree?: boolean
  /** The key that replaced this one. */
  readonly oldNameOf?: string
}

/** Number of single-character edits between two short names (Levenshtein). */
export const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The known name that looks most like `name`; `undefined`: none is near enough to be meant. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(3, Math.floor(name.length / 3))
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase())
    if (d < bestDistance) {
      best = candidate
      bestDistance = d
    }
  }
  return best
}
