/** The delivery log and notices, from their keys. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Signature from "../../domain/Signature.ts"
import * as WebhookUrl from "../../domain/WebhookUrl.ts"
import { type DeliveryLogSettingsShape, deliveryLogDefaults, type NoticeSettingsShape } from "../../services/DeliverySettings.ts"
import type { Reader } from "./Reader.ts"
import type * as Value from "./Value.ts"

export const readDeliveryLog = (reader: Reader): DeliveryLogSettingsShape => ({
  bodies: reader.boolean("deliveryLog.bodies", deliveryLogDefaults.bodies),
  retentionMs: reader.duration("deliveryLog.retention", deliveryLogDefaults.retentionMs)
})

/** What is wrong is said without the value: it may hold a password. */
const url = (text: string): Value.Parsed<Redacted.Redacted> =>
  Result.isSuccess(WebhookUrl.parse(text)) ? Result.succeed(Redacted.make(text)) : Result.fail("is no absolute http or https URL")

const secret = (text: string): Value.Parsed<Redacted.Redacted> => {
  const key = Signature.parseSecret(text)
  return Result.isSuccess(key) ? Result.succeed(Redacted.make(text)) : Result.fail(`is no signing secret: ${key.failure.problem}`)
}

export const readNotices = (reader: Reader): NoticeSettingsShape => {
  const notices = { url: reader.parsed("notice.url", url), secret: reader.parsed("notice.secret", secret) }
  if (notices.secret !== undefined && !reader.has("notice.url")) reader.warning("notice.secret", "has no effect: PGSTREAM_NOTICE_URL is not set")
  return notices
}
