/** A table as psql and kubectl print one: aligned, short, a line each, no colours. */

/** Two spaces between columns; the last column is as long as it is. Without rows only the head. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => (row[at] ?? "").length)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((text, at) => (at === head.length - 1 ? text : text.padEnd(widths[at]!))).join("  ").trimEnd()
  return [head, ...rows].map(line).join("\n")
}

/** Of an id, what `Lookup` needs to find it again. */
export const shortId = (id: string): string => id.slice(0, 8)

/** `1 subscription`, `2 subscriptions`; `whats`: where that is no mere s. */
export const count = (many: number, what: string, whats = `${what}s`): string => `${many} ${many === 1 ? what : whats}`

/** `2026-11-24T12:00:00Z`, of ms since 1970 */
export const seconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
