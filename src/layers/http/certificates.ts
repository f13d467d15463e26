/** Whether certificates in PEM form can be used for a connection; what is wrong, without showing any of them. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import type { ClientCertificate } from "../../domain/Sending.ts"

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The first certificate; `undefined`: there is none, or one that cannot be read. */
const firstOf = (pem: string): X509Certificate | undefined => {
  try {
    return (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block))[0]
  } catch {
    return undefined
  }
}

const NOT_PEM = "holds no certificate that can be read: -----BEGIN CERTIFICATE----- …"

export const authorityProblem = (ca: string): string | undefined => (firstOf(ca) === undefined ? NOT_PEM : undefined)

export const clientProblem = ({ certificate, key }: ClientCertificate): string | undefined => {
  const first = firstOf(certificate)
  if (first === undefined) return NOT_PEM
  try {
    if (!first.checkPrivateKey(createPrivateKey(key))) return "has the key of another certificate"
    createSecureContext({ cert: certificate, key })
    return undefined
  } catch {
    return "has a key that cannot be read; it must be PEM and not encrypted"
  }
}
