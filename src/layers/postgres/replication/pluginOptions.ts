/**
 * Options of START_REPLICATION. They are fixed per plugin and server version: event ids count what they make the
 * plugin hand out.
 */
import * as Lsn from "../../../domain/Lsn.ts"
import { identifier, literal } from "../../../domain/SqlText.ts"
import type { Checked } from "./Checks.ts"

export const pluginOptions = (
  checked: Pick<Checked, "plugin" | "publications" | "serverVersion">
): ReadonlyArray<readonly [string, string]> =>
  checked.plugin === "wal2json"
    ? [
        ["format-version", "2"],
        ["include-transaction", "1"],
        ["include-timestamp", "1"],
        ["include-lsn", "1"],
        ["include-xids", "1"],
        ["include-types", "1"]
      ]
    : [
        ["proto_version", "1"],
        ["publication_names", checked.publications.map(identifier).join(",")],
        ...(checked.serverVersion >= 140_000 ? [["messages", "true"] as const] : []),
        ...(checked.serverVersion >= 160_000 ? [["origin", "any"] as const] : [])
      ]

export const startCommand = (
  slotName: string,
  from: Lsn.Lsn,
  checked: Pick<Checked, "plugin" | "publications" | "serverVersion">
): string => {
  const options = pluginOptions(checked).map(([name, value]) => `${identifier(name)} ${literal(value)}`)
  return `START_REPLICATION SLOT ${identifier(slotName)} LOGICAL ${Lsn.format(from)} (${options.join(", ")})`
}
