/** YAML files into leaves with their lines. With a syntax error nothing is read but the errors and their lines. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Scalar } from "yaml"
import { isSection } from "./Keys.ts"
import type { FileEntry, ParsedFile } from "./ParsedFile.ts"

const textOf = (scalar: Scalar): string | undefined =>
  scalar.value === null || scalar.value === undefined ? undefined : scalar.source ?? String(scalar.value)

export const parse = (text: string): ParsedFile => {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false })
  const problems = document.errors.map((error) => ({
    line: counter.linePos(error.pos[0]).line,
    message: `is not valid YAML: ${error.message.split("\n")[0] ?? ""}`
  }))
  const entries: Array<FileEntry> = []
  if (problems.length > 0 || document.contents === null) return { entries, problems }
  if (!isMap(document.contents)) return { entries, problems: [{ line: 1, message: "must be a mapping of keys" }] }
  walk(document, document.contents, "", 1, (offset) => counter.linePos(offset).line, entries)
  return { entries, problems }
}

const walk = (
  document: Document, node: unknown, path: string, line: number, lineAt: (offset: number) => number,
  entries: Array<FileEntry>
): void => {
  const found = isAlias(node) ? node.resolve(document) : node
  const leaf = (value: FileEntry["value"], more: Partial<FileEntry> = {}) =>
    entries.push({ name: path, line, value, mapping: false, expand: true, plain: false, ...more })
  if (isMap(found)) {
    if (path !== "" && !isSection(path)) return void leaf("", { mapping: true })
    for (const pair of found.items) {
      const key = isScalar(pair.key) ? textOf(pair.key) ?? "null" : String(pair.key)
      const at = isScalar(pair.key) ? lineAt(pair.key.range?.[0] ?? 0) : line
      walk(document, pair.value, path === "" ? key : `${path}.${key}`, at, lineAt, entries)
    }
  } else if (isSeq(found)) {
    leaf(found.items.map((item) => (isScalar(item) ? textOf(item) ?? "" : String(item))), { plain: true })
  } else if (isScalar(found)) {
    leaf(textOf(found), { plain: found.type === "PLAIN" })
  } else {
    leaf(undefined)
  }
}
