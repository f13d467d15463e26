/**
 * `webhook-signature` of an endpoint's requests. A `KeyObject` is made once for each secret: with the raw bytes the
 * HMAC of 900 bytes takes 8 µs, so 1.8 µs (FACTS.md). Secrets that end are looked at when the second changes.
 */
import * as Redacted from "effect/Redacted"
import { createHmac, createSecretKey, type KeyObject } from "node:crypto"
import * as Sending from "../../domain/Sending.ts"
import * as Signature from "../../domain/Signature.ts"

interface Key {
  readonly key: KeyObject
  readonly expiresAtMs: number | null
}

export class Signer {
  private keys: ReadonlyArray<Key>

  constructor(keys: ReadonlyArray<Key>) {
    this.keys = keys
  }

  /** Lets go of keys that count no more at `nowMs`. */
  expire(nowMs: number): void {
    this.keys = this.keys.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > nowMs)
  }

  /** `timestamp`: as in `webhook-timestamp`. */
  sign(id: string, timestamp: string, body: Uint8Array): string {
    const prefix = Signature.signedPrefix(id, timestamp)
    return Signature.headerOf(
      this.keys.map(({ key }) => createHmac("sha256", key).update(prefix).update(body).digest("base64"))
    )
  }
}

/** `undefined`: the endpoint has no secret, its requests are not signed. */
export const signerFor = (sending: Sending.Sending | undefined): Signer | undefined => {
  if (sending === undefined) return undefined
  const keys = Sending.keysOf(Redacted.value(sending.content))
  if (keys.length === 0) return undefined
  return new Signer(keys.map(({ expiresAtMs, key }) => ({ key: createSecretKey(key), expiresAtMs })))
}
