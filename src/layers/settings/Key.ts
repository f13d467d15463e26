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
