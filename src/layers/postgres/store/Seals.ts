/**
 * Encryption at rest of what the store keeps: AES-256-GCM, so that what was changed or moved to another row does not
 * open (docs/adr/0008).
 *
 * - Sealed: `0x00 "pgs1"` (5 bytes), key id (4), salt (16), nonce (12), ciphertext, tag (16). What does not begin so
 *   is plain: neither JSON nor a frame of a plugin has a NUL first.
 * - Key id: the first 4 bytes of SHA-256 of the key.
 * - Each process seals with a key of its own: HMAC-SHA256(key, salt), the salt random, the nonce a counter. So no
 *   nonce comes twice however much is parked (random ones under one key are good for 2^32 messages).
 * - `context` (additional data) names the row: a value moved to another row does not open.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  createCipheriv, createDecipheriv, createHash, createHmac, createSecretKey, type KeyObject, randomBytes
} from "node:crypto"
import type { SecretSettingsShape } from "../../../services/Settings.ts"

/** What a sealed value begins with. */
export const MAGIC: Uint8Array = Buffer.from("\0pgs1", "latin1")
const ID_BYTES = 4
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SALT_AT = MAGIC.length + ID_BYTES
const NONCE_AT = SALT_AT + SALT_BYTES
const BODY_AT = NONCE_AT + NONCE_BYTES
/** Bytes that sealing adds. */
export const OVERHEAD_BYTES = BODY_AT + TAG_BYTES
/** Derived keys that are remembered: one for each process that sealed what is read. */
const MAX_DERIVED = 256
const ALGORITHM = "aes-256-gcm"

/** `keyId`: hex, of the key that sealed it; never a key or a value. */
export class SealError extends Schema.TaggedError<SealError>()("SealError", {
  keyId: Schema.String,
  known: Schema.Boolean
}) {
  readonly code = "SecretKeyUnknown"
  override get message() {
    return this.known
      ? `What was encrypted with key ${this.keyId} does not open: it was changed, or moved from another row. `
        + "(SecretKeyUnknown)"
      : `What was encrypted with key ${this.keyId} does not open: that key is neither PGSTREAM_SECRET_KEY nor in `
        + "PGSTREAM_SECRET_KEY_PREVIOUS. Give it back there. (SecretKeyUnknown)"
  }
}

const idOf = (key: Uint8Array): Buffer => createHash("sha256").update(key).digest().subarray(0, ID_BYTES)

const derive = (key: Uint8Array, salt: Uint8Array): KeyObject =>
  createSecretKey(createHmac("sha256", key).update(salt).digest())

export const isSealed = (bytes: Uint8Array): boolean =>
  bytes.length >= OVERHEAD_BYTES && Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) === 0

export class Seals {
  readonly #key: Uint8Array | undefined
  /** By id, hex. */
  readonly #keys = new Map<string, Uint8Array>()
  readonly #derived = new Map<string, KeyObject>()
  readonly #head: Buffer
  readonly #own: KeyObject | undefined
  #count = 0

  constructor(settings: SecretSettingsShape) {
    const current = settings.key === undefined ? undefined : Redacted.value(settings.key)
    this.#key = current
    for (const key of [...settings.previous.map(Redacted.value), ...(current === undefined ? [] : [current])]) {
      this.#keys.set(idOf(key).toString("hex"), key)
    }
    const salt = randomBytes(SALT_BYTES)
    this.#own = current === undefined ? undefined : derive(current, salt)
    this.#head = Buffer.concat([MAGIC, current === undefined ? Buffer.alloc(ID_BYTES) : idOf(current), salt])
  }

  /** Without it everything is stored in the clear. */
  get hasKey(): boolean {
    return this.#key !== undefined
  }

  /** Whether `seal` would give it another form: plain though there is a key, or sealed with an older one. */
  isStale(bytes: Uint8Array): boolean {
    return this.hasKey
      && !(isSealed(bytes) && Buffer.compare(bytes.subarray(0, SALT_AT), this.#head.subarray(0, SALT_AT)) === 0)
  }

  /** `plain` itself without a key. */
  seal(plain: Uint8Array, context: string): Uint8Array {
    if (this.#own === undefined) return plain
    const nonce = Buffer.alloc(NONCE_BYTES)
    nonce.writeBigUInt64BE(BigInt(++this.#count), NONCE_BYTES - 8)
    const cipher = createCipheriv(ALGORITHM, this.#own, nonce).setAAD(Buffer.from(context, "utf8"))
    return Buffer.concat([this.#head, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** What is not sealed comes back as it is. */
  open(bytes: Uint8Array, context: string): Result.Result<Uint8Array, SealError> {
    if (!isSealed(bytes)) return Result.succeed(bytes)
    const sealed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const keyId = sealed.toString("hex", MAGIC.length, SALT_AT)
    const key = this.#keys.get(keyId)
    if (key === undefined) return Result.fail(new SealError({ keyId, known: false }))
    const nonce = sealed.subarray(NONCE_AT, BODY_AT)
    const decipher = createDecipheriv(ALGORITHM, this.#derivedFor(key, keyId, sealed.subarray(SALT_AT, NONCE_AT)), nonce)
      .setAAD(Buffer.from(context, "utf8"))
      .setAuthTag(sealed.subarray(-TAG_BYTES))
    try {
      return Result.succeed(Buffer.concat([decipher.update(sealed.subarray(BODY_AT, -TAG_BYTES)), decipher.final()]))
    } catch {
      return Result.fail(new SealError({ keyId, known: true }))
    }
  }

  #derivedFor(key: Uint8Array, keyId: string, salt: Buffer): KeyObject {
    const name = `${keyId} ${salt.toString("hex")}`
    let derived = this.#derived.get(name)
    if (derived === undefined) {
      derived = derive(key, salt)
      if (this.#derived.size >= MAX_DERIVED) this.#derived.delete(this.#derived.keys().next().value!)
      this.#derived.set(name, derived)
    }
    return derived
  }
}
