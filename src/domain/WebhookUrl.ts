/**
 * Where a webhook's request goes: its URL taken apart once. Userinfo becomes an `Authorization:
 * Basic` header (as the system that we replace sends it) and is shown nowhere.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Longest URL that is accepted, in characters. */
export const MAX_LENGTH = 2_048

export interface WebhookTarget {
  /** `https://host:port`, without userinfo. */
  readonly origin: string
  /** Path and query, at least `/`. */
  readonly path: string
  /** Value of the Authorization header; `undefined` without userinfo. */
  readonly authorization: string | undefined
}

/** `problem` says what is wrong, without the URL: it may hold a password. */
export class WebhookUrlError extends Schema.TaggedError<WebhookUrlError>()("WebhookUrlError", {
  problem: Schema.String
}) {
  override get message() {
    return `Not the URL of a webhook: ${this.problem}. Expected an absolute http or https URL.`
  }
}

const refuse = (problem: string) => Result.fail(new WebhookUrlError({ problem }))

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Never throws. */
export const parse = (text: string): Result.Result<WebhookTarget, WebhookUrlError> => {
  if (text === "") return refuse("it is empty")
  if (text.length > MAX_LENGTH) return refuse(`it is longer than ${MAX_LENGTH} characters`)
  const url = URL.parse(text)
  if (url === null) return refuse("it is no absolute URL")
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return refuse(`its scheme is ${JSON.stringify(url.protocol)}`)
  }
  if (url.hostname === "") return refuse("it has no host")
  const userinfo = `${decode(url.username)}:${decode(url.password)}`
  return Result.succeed({
    origin: url.origin,
    path: url.pathname + url.search,
    authorization: userinfo === ":" ? undefined : `Basic ${Buffer.from(userinfo, "utf8").toString("base64")}`
  })
}

/** For people and logs: scheme, host and path; no userinfo, no query. */
export const describe = (text: string): string => {
  const url = URL.parse(text)
  return url === null || !/^https?:$/.test(url.protocol) ? "(no URL)" : `${url.origin}${url.pathname}`
}

/**
 * As given, but for its userinfo, which becomes `***`. What is no http URL is not shown if it may
 * have some.
 */
export const withoutUserinfo = (text: string): string => {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return text.includes("@") ? "(no URL)" : text
  if (url.username === "" && url.password === "") return text
  url.username = "***"
  url.password = ""
  return url.href
}
