/**
 * `.env` files: `KEY=VALUE` lines, `export` before the key, `#` comments (a line, or after a blank), single quotes
 * (taken as they are), double quotes (`\n \r \t \" \\ \$`). A quoted value may go over several lines.
 */
import type { FileEntry, ParsedFile } from "./ParsedFile.ts"

interface Quoted {
  readonly value: string
  /** Text after the closing quote. */
  readonly rest: string
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" }

/** `undefined`: the quote is not closed in this text. `\${` becomes `$${`, which `Expand` leaves alone. */
const quoted = (text: string): Quoted | undefined => {
  const quote = text[0]
  let value = ""
  for (let i = 1; i < text.length; i++) {
    const char = text[i] ?? ""
    if (char === quote) return { value, rest: text.slice(i + 1) }
    if (char !== "\\" || quote === "'") {
      value += char
      continue
    }
    const next = text[++i] ?? ""
    value += next === "$" ? (text[i + 1] === "{" ? "$$" : "$") : escapes[next] ?? `\\${next}`
  }
  return undefined
}

const blank = /^\s*(?:#.*)?$/

export const parse = (text: string): ParsedFile => {
  const entries: Array<FileEntry> = []
  const problems: Array<{ line: number; message: string }> = []
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/)
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    if (blank.test(lines[at] ?? "")) continue
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)$/.exec(lines[at] ?? "")
    const name = match?.[1]
    let raw = match?.[2] ?? ""
    if (name === undefined) {
      problems.push({ line, message: "is no KEY=VALUE line" })
    } else if (raw.startsWith('"') || raw.startsWith("'")) {
      let found = quoted(raw)
      while (found === undefined && at + 1 < lines.length) {
        raw += `\n${lines[++at] ?? ""}`
        found = quoted(raw)
      }
      if (found === undefined) problems.push({ line, message: "has a quote that is never closed" })
      else if (!blank.test(found.rest)) problems.push({ line, message: "has text after the closing quote" })
      else entries.push({ name, line, value: found.value, mapping: false, expand: raw.startsWith('"'), plain: false })
    } else {
      const value = raw.startsWith("#") ? "" : raw.replace(/\s+#.*$/, "").trimEnd()
      entries.push({ name, line, value, mapping: false, expand: true, plain: false })
    }
  }
  return { entries, problems }
}
