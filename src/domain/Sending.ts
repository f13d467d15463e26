/**
 * What an endpoint's requests carry beside the URL: signing secrets, headers, authorization, certificates. All of it
 * is secret: it is held in a `Redacted` and shown nowhere.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Signature from "./Signature.ts"

export interface SigningSecret {
  /** `whsec_…` */
  readonly secret: string
  /** ms since 1970, from which it does not count any more; `null`: the current one. */
  readonly expiresAtMs: number | null
}

export type Auth =
  | { readonly type: "bearer"; readonly token: string }
  | { readonly type: "basic"; readonly username: string; readonly password: string }

export interface ClientCertificate {
  /** PEM, the chain; and PEM, not encrypted. */
  readonly certificate: string
  readonly key: string
}

export interface SendingContent {
  /** Newest first; at most `MAX_SECRETS`. */
  readonly secrets: ReadonlyArray<SigningSecret>
  /** Names as given; in place of a list, since no name comes twice. */
  readonly headers: Readonly<Record<string, string>>
  readonly auth: Auth | null
  /** PEM: the only authorities by which the server's certificate is verified. */
  readonly ca: string | null
  readonly client: ClientCertificate | null
}

export interface Sending {
  /** Another one with each change of the content. */
  readonly version: string
  readonly content: Redacted.Redacted<SendingContent>
}

/** Secrets that may count at once. */
export const MAX_SECRETS = 4
/** How long the secret before counts after a rotation, s. */
export const DEFAULT_OVERLAP_SECONDS = 24 * 60 * 60
export const MAX_OVERLAP_SECONDS = 30 * 24 * 60 * 60

export const empty: SendingContent = { secrets: [], headers: {}, auth: null, ca: null, client: null }

/** What must not be stored in the clear. Signing secrets and headers may be (docs/security.md). */
export const needsSealing = (content: Pick<SendingContent, "auth" | "client">): boolean =>
  content.auth !== null || content.client !== null

/** Secrets that count at `nowMs`, newest first. */
export const inForce = (secrets: ReadonlyArray<SigningSecret>, nowMs: number): ReadonlyArray<SigningSecret> =>
  secrets.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > nowMs)

/**
 * `secret` becomes the current one; those before it count for `overlapSeconds` more, unless they end earlier. With 0
 * they end now. `undefined`: too many would count.
 */
export const rotate = (
  content: SendingContent, secret: string, nowMs: number, overlapSeconds: number
): SendingContent | undefined => {
  const until = nowMs + overlapSeconds * 1_000
  const before = inForce(content.secrets, nowMs)
    .filter((old) => old.secret !== secret)
    .map((old) => ({ ...old, expiresAtMs: Math.min(old.expiresAtMs ?? until, until) }))
  const secrets = [{ secret, expiresAtMs: null }, ...inForce(before, nowMs)]
  return secrets.length > MAX_SECRETS ? undefined : { ...content, secrets }
}

/** Value of the Authorization header. */
export const authorizationOf = (auth: Auth): string =>
  auth.type === "bearer"
    ? `Bearer ${auth.token}`
    : `Basic ${Buffer.from(`${auth.username}:${auth.password}`, "utf8").toString("base64")}`

/** Keys of the HMAC; a secret that cannot be read has none (the API takes only such that can). */
export const keysOf = (
  content: SendingContent
): ReadonlyArray<{ readonly key: Uint8Array; readonly expiresAtMs: number | null }> =>
  content.secrets.flatMap(({ expiresAtMs, secret }) => {
    const key = Signature.parseSecret(secret)
    return Result.isSuccess(key) ? [{ key: key.success, expiresAtMs }] : []
  })

export const make = (version: string, content: SendingContent): Sending => ({
  version, content: Redacted.make(content, { label: "sending" })
})
