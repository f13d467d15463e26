/** Settings of the delivery log and of notices. Without a Layer the defaults hold. */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"

export interface DeliveryLogSettingsShape {
  /** Whether bodies are kept with the log, so that what was delivered can be replayed. Default false. */
  readonly bodies: boolean
  /** How long failed attempts are kept, ms. Default 7 days. */
  readonly retentionMs: number
}

export const deliveryLogDefaults: DeliveryLogSettingsShape = { bodies: false, retentionMs: 7 * 24 * 60 * 60 * 1_000 }

export const DeliveryLogSettings = Context.Reference<DeliveryLogSettingsShape>("pgstream/services/DeliveryLogSettings", {
  defaultValue: () => deliveryLogDefaults
})

export interface NoticeSettingsShape {
  /** Where notices are posted; `undefined`: they are log lines alone. */
  readonly url: Redacted.Redacted<string> | undefined
  /** `whsec_…`: signs them; `undefined`: they are not signed. */
  readonly secret: Redacted.Redacted<string> | undefined
}

export const NoticeSettings = Context.Reference<NoticeSettingsShape>("pgstream/services/NoticeSettings", {
  defaultValue: () => ({ url: undefined, secret: undefined })
})
