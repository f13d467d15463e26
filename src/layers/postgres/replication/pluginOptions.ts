/**
 * Options of START_REPLICATION. They are fixed per plugin and server version: event ids count what they make the
 * plugin hand out.
 */
import * as Lsn from "../../../domain/Lsn.ts"
import { type Checked, literal } from "./Checks.ts"

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

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
        ["publication_names", checked.publications.map(quoted).join(",")],
        ...(checked.serverVersion >= 140_000 ? [["messages", "true"] as const] : []),
        ...(checked.serverVersion >= 160_000 ? [["origin", "any"] as const] : [])
      ]

export const startCommand = (
  slotName: string,
  from: Lsn.Lsn,
  checked: Pick<Checked, "plugin" | "publications" | "serverVersion">
): string => {
  const options = pluginOptions(checked).map(([name, value]) => `${quoted(name)} ${literal(value)}`)
  return `START_REPLICATION SLOT ${quoted(slotName)} LOGICAL ${Lsn.format(from)} (${options.join(", ")})`
}
