/** Keys of the delivery log and of notices. */
import type { Key } from "./Key.ts"

export const log: ReadonlyArray<Key> = [
  { id: "deliveryLog.bodies", env: "PGSTREAM_WEBHOOK_DELIVERY_LOG_BODIES", yaml: "target.webhooks.delivery_log.bodies", kind: "boolean", state: "works", standard: "false", meaning: "Keeps the bodies of what the log has (the last 100 accepted of each endpoint, and failures), so that they can be replayed. They are encrypted with `PGSTREAM_SECRET_KEY` where there is one." },
  { id: "deliveryLog.retention", env: "PGSTREAM_WEBHOOK_DELIVERY_LOG_RETENTION", yaml: "target.webhooks.delivery_log.retention", kind: "duration", yamlUnit: "s", state: "works", standard: "168h", meaning: "Failed attempts are kept this long, and at most a million of them." },
  { id: "notice.url", env: "PGSTREAM_NOTICE_URL", yaml: "target.webhooks.notices.url", kind: "secret", state: "works", standard: "", meaning: "One POST for each state that an operator should hear of: an endpoint disabled or suspended, a first dead letter, a barrier that has waited an hour, a slot near its loss. Each is a log line, too. See [webhooks.md](webhooks.md)." },
  { id: "notice.secret", env: "PGSTREAM_NOTICE_SECRET", yaml: "target.webhooks.notices.secret", kind: "secret", state: "works", standard: "", meaning: "`whsec_…`: signs those POSTs as Standard Webhooks. Without it they are not signed." }
]
