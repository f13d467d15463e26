/** The URL of a webhook in a request of the API. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as WebhookUrl from "../domain/WebhookUrl.ts"

/** Longest URL, in bytes. */
export const MAX_URL_BYTES = WebhookUrl.MAX_LENGTH

export const EXPECTED_URL = "Expected an absolute http or https URL, such as http://localhost:9910/webhook"

const usable = Schema.makeFilter((text: string) => {
  if (Buffer.byteLength(text) > MAX_URL_BYTES) return `is longer than ${MAX_URL_BYTES} bytes`
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) {
    return "holds a space or a control character; write it percent-encoded"
  }
  const target = WebhookUrl.parse(text)
  return Result.isSuccess(target) || `is no URL of a webhook: ${target.failure.problem}. ${EXPECTED_URL}`
})

/** A string; what it says is not looked at. */
export const url = Schema.String.annotate({ message: "must be a string: an absolute http or https URL" })

/** One that can be sent to. */
export const absolute = url.check(usable)
