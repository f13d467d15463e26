/** The report of `pgstream status` as the block that people know, and as JSON of the same shape plus findings. */
import type { Finding, StatusReport } from "../../services/Setup.ts"

/** A summary may go over several lines: in a list it is one. */
const oneLine = (text: string): string => text.split("\n")[0]?.trim() ?? ""

const errorsOf = (report: StatusReport, area: Finding["area"], part?: Finding["part"]): ReadonlyArray<string> =>
  report.findings.filter((f) => f.area === area && (area !== "init" || (f.part ?? "schema") === part)).map((f) => oneLine(f.summary))

const errorLine = (label: string, errors: ReadonlyArray<string>): ReadonlyArray<string> =>
  errors.length === 0 ? [] : [` - ${label}: [${errors.join("; ")}]`]

export const text = (report: StatusReport): string => {
  const config = errorsOf(report, "config")
  const rules = errorsOf(report, "rules")
  return [
    "Initialisation status:",
    ` - Pgstream schema exists: ${report.schemaExists}`,
    ` - Pgstream schema_log table exists: ${report.schemaLogExists}`,
    ...errorLine("Pgstream schema errors", errorsOf(report, "init", "schema")),
    ` - Migration current version: ${report.migrationVersion}`,
    ` - Migration status: ${report.migrationDirty ? "failed" : "success"}`,
    ...errorLine("Migration errors", errorsOf(report, "init", "migration")),
    ` - Replication slot name: ${report.slotName}`,
    ` - Replication slot plugin: ${report.slotPlugin}`,
    ` - Replication slot database: ${report.slotDatabase}`,
    ...errorLine("Replication slot errors", errorsOf(report, "init", "slot")),
    "Config status:",
    ` - Valid: ${config.length === 0}`,
    ...errorLine("Errors", config),
    "Transformation rules status:",
    ` - Valid: ${rules.length === 0}`,
    ...errorLine("Errors", rules),
    "Source status:",
    ` - Reachable: ${report.reachable}`,
    ...errorLine("Errors", errorsOf(report, "source")),
    ...errorLine("Deliveries", errorsOf(report, "delivery")),
    ...findingLines(report.findings)
  ].map((line) => line.trimEnd()).join("\n")
}

const indent = (text: string): string => text.split("\n").map((line) => `   ${line}`).join("\n")

/** One entry for each thing to do, with the first that it would mend. */
const findingLines = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> => {
  const first = new Map<string, Finding>()
  for (const finding of findings) {
    const what = `${finding.code} ${finding.mend}`
    if (!first.has(what)) first.set(what, finding)
  }
  if (first.size === 0) return []
  return ["What to do:", ...[...first.values()].map((f) => ` - ${f.code}: ${oneLine(f.summary)}${f.mend === "" ? "" : `\n${indent(f.mend)}`}`)]
}

const orNull = (errors: ReadonlyArray<string>): ReadonlyArray<string> | null => (errors.length === 0 ? null : errors)

/** Keys and nesting of the system that we replace; `Findings`, `Notes` and `Snapshots` are ours. */
export const json = (report: StatusReport, snapshots: ReadonlyArray<unknown> = []): string =>
  JSON.stringify({
    Init: {
      PgstreamSchema: {
        SchemaExists: report.schemaExists, SchemaLogTableExists: report.schemaLogExists,
        Errors: orNull(errorsOf(report, "init", "schema"))
      },
      Migration: { Version: report.migrationVersion, Dirty: report.migrationDirty, Errors: orNull(errorsOf(report, "init", "migration")) },
      ReplicationSlot: {
        Name: report.slotName, Plugin: report.slotPlugin, Database: report.slotDatabase,
        Errors: orNull(errorsOf(report, "init", "slot"))
      }
    },
    Config: { Valid: errorsOf(report, "config").length === 0, Errors: orNull(errorsOf(report, "config")) },
    TransformationRules: null,
    Source: { Reachable: report.reachable, Errors: orNull(errorsOf(report, "source")) },
    Findings: report.findings.map((f) => ({ Area: f.area, Code: f.code, Summary: f.summary, Mend: f.mend })),
    Notes: report.notes,
    Snapshots: snapshots
  }, null, "\t")

/** `SUCCESS  …`, or `WARNING  …` with the areas that have findings, in a fixed order. */
export const headline = (report: StatusReport): string => {
  const areas = (["init", "config", "rules", "source", "delivery"] as const).filter((area) => report.findings.some((f) => f.area === area))
  return areas.length === 0
    ? "SUCCESS  pgstream status check encountered no issues"
    : `WARNING  pgstream status check identified issues with ${areas.join(", ")}`
}
