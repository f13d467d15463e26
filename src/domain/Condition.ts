/**
 * The condition of a copy (`--where`): one SQL expression on the columns of a table, given by a person.
 *
 * It runs with the rights of our role. What is checked here is its form alone, so that in `WHERE (condition)` it cannot
 * end the parentheses, the statement, or begin a comment that hides what follows. Whether it has a meaning says Postgres.
 */

/** Longest condition, in bytes. */
export const MAX_BYTES = 4 * 1024

const CLOSES: Readonly<Record<string, string>> = { ")": "(", "]": "[" }

/** What is wrong with its form; `undefined`: nothing. */
export const problem = (text: string): string | undefined => {
  if (text.trim() === "") return "is empty"
  if (Buffer.byteLength(text) > MAX_BYTES) return `is longer than ${MAX_BYTES} bytes`
  if (text.includes("\0")) return "holds a NUL character"
  // In some kinds of strings that is a quote inside, in others a backslash at the end.
  if (/\\['"]/.test(text)) return "holds a backslash before a quote; write chr(92) for the backslash"
  const open: Array<string> = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === "'" || character === '"') {
      const end = text.indexOf(character, at + 1)
      if (end === -1) return `has a ${character === "'" ? "string" : "name"} that is not closed`
      // A doubled quote is the end of one and the beginning of another.
      at = end
    } else if (character === ";") {
      return "holds a semicolon; one expression is expected, such as id > 1000"
    } else if (character === "$") {
      return "holds a dollar sign outside of quotes; parameters and dollar quotes cannot be used"
    } else if (text.startsWith("--", at) || text.startsWith("/*", at)) {
      return "holds a comment"
    } else if (character === "(" || character === "[") {
      open.push(character)
    } else if (CLOSES[character] !== undefined && open.pop() !== CLOSES[character]) {
      return `closes a parenthesis that it did not open`
    }
  }
  return open.length === 0 ? undefined : "has a parenthesis that is not closed"
}

/** For a statement, behind WHERE. */
export const sql = (condition: string): string => `(${condition}\n)`
