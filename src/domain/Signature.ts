/**
 * Standard Webhooks: what is signed, and the text forms of secrets and signatures. The HMAC itself is made where
 * there is a crypto library.
 *
 * - Signed bytes: `<webhook-id>.<webhook-timestamp>.<body>`, as sent.
 * - Header `webhook-signature`: `v1,<base64 of HMAC-SHA256>`; several, separated by a space, while an older secret
 *   still counts.
 * - Secret: `whsec_` and the base64 of 24 to 64 bytes; those bytes are the key.
 * - Source: the Standard Webhooks specification, "Signature scheme" and "Webhook secret".
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export const MIN_SECRET_BYTES = 24
export const MAX_SECRET_BYTES = 64
/** Of a secret that we make. */
export const SECRET_BYTES = 32

const PREFIX = "whsec_"

/** `problem` never holds the text of the secret. */
export class SecretError extends Schema.TaggedError<SecretError>()("SecretError", {
  problem: Schema.String
}) {
  override get message() {
    return `Not a signing secret: ${this.problem}.`
  }
}

const refuse = (problem: string) => Result.fail(new SecretError({ problem }))

/** The bytes of the key. Base64 with or without its padding; never throws. */
export const parseSecret = (text: string): Result.Result<Uint8Array, SecretError> => {
  if (!text.startsWith(PREFIX)) return refuse(`it does not begin with ${PREFIX}`)
  const encoded = text.slice(PREFIX.length)
  const bytes = Buffer.from(encoded, "base64")
  // Buffer passes over what is no base64: only what it would write itself is taken.
  if (bytes.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, "")) {
    return refuse(`what follows ${PREFIX} is not base64`)
  }
  if (bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES) {
    return refuse(`it has ${bytes.length} bytes; ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} are allowed`)
  }
  return Result.succeed(bytes)
}

export const formatSecret = (key: Uint8Array): string => PREFIX + Buffer.from(key).toString("base64")

/** What the body follows. `timestamp`: as in `webhook-timestamp`, seconds since 1970. */
export const signedPrefix = (id: string, timestamp: string): string => `${id}.${timestamp}.`

/** `digests`: base64, that of the newest secret first. */
export const headerOf = (digests: ReadonlyArray<string>): string =>
  digests.map((digest) => `v1,${digest}`).join(" ")
