/** Headers that a user adds to an endpoint's requests: which names and values may be sent. */

export const MAX_HEADERS = 20
/** Names and values together. */
export const MAX_HEADERS_BYTES = 4 * 1_024

/** RFC 9110, "token". */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Visible ASCII, with blanks and tabs only inside (RFC 9110, "field-value"; obs-text is left out). */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/

/** Ours, the connection's, or those of a proxy. */
const RESERVED: ReadonlySet<string> = new Set([
  "host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "date", "via",
  "user-agent", "forwarded"
])
const RESERVED_PREFIX = /^(?:webhook-|content-|proxy-|sec-|x-forwarded-)/

const problemOf = (name: string, value: string): string | undefined => {
  const lower = name.toLowerCase()
  if (!NAME.test(name)) return "has a name that HTTP does not allow"
  if (lower === "authorization") return "is set by auth, which keeps it encrypted"
  if (RESERVED.has(lower) || RESERVED_PREFIX.test(lower)) {
    return "is not for users: webhook-*, content-*, proxy-*, and those of the connection are made by the service"
  }
  if (!VALUE.test(value)) return "has a value that is empty, or has characters other than visible ASCII and inner blanks"
  return undefined
}

/** `name`: the header, or `undefined` when it is all of them. */
export interface HeaderProblem {
  readonly name: string | undefined
  readonly problem: string
}

/** Never shows a value. */
export const problems = (headers: Readonly<Record<string, string>>): ReadonlyArray<HeaderProblem> => {
  const found: Array<HeaderProblem> = []
  const seen = new Set<string>()
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    const problem = seen.has(name.toLowerCase()) ? "is there twice, in two spellings" : problemOf(name, value)
    if (problem !== undefined) found.push({ name, problem })
    seen.add(name.toLowerCase())
  }
  if (seen.size > MAX_HEADERS) found.push({ name: undefined, problem: `are more than ${MAX_HEADERS}` })
  if (bytes > MAX_HEADERS_BYTES) found.push({ name: undefined, problem: `are longer than ${MAX_HEADERS_BYTES} bytes` })
  return found
}
