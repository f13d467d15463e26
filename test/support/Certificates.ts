/** Certificates of a test: an authority, a server's and a client's signed by it, and an authority that signed nothing. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Certificates {
  readonly dir: string
  readonly ca: string
  readonly otherCa: string
  readonly serverCert: string
  readonly serverKey: string
  readonly clientCert: string
  readonly clientKey: string
  /** The client's key, encrypted. */
  readonly clientKeyEncrypted: string
  remove(): void
}

export const clientKeyPassword = "key p&ss"

/** `serverName`: the DNS name in the server's certificate. `client`: the user's name in the client's. */
export const makeCertificates = (serverName: string, client: string): Certificates => {
  const dir = mkdtempSync(join(tmpdir(), "pgstream-certificates-"))
  chmodSync(dir, 0o755)
  const at = (name: string) => join(dir, name)
  const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] })
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
  const authority = (name: string) =>
    openssl("req", "-x509", ...newKey, "-days", "2", "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.pem`))
  const signed = (name: string, subject: string, extension: string) => {
    openssl("req", ...newKey, "-subj", `/CN=${subject}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`))
    writeFileSync(at(`${name}.ext`), extension)
    openssl("x509", "-req", "-in", at(`${name}.csr`), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", at(`${name}.ext`), "-out", at(`${name}.pem`))
  }
  authority("ca")
  authority("other")
  signed("server", serverName, `subjectAltName=DNS:${serverName}`)
  signed("client", client, "extendedKeyUsage=clientAuth")
  openssl("pkcs8", "-topk8", "-v2", "aes256", "-in", at("client.key"), "-out", at("encrypted.key"), "-passout", `pass:${clientKeyPassword}`)
  return {
    dir, ca: at("ca.pem"), otherCa: at("other.pem"), serverCert: at("server.pem"), serverKey: at("server.key"),
    clientCert: at("client.pem"), clientKey: at("client.key"), clientKeyEncrypted: at("encrypted.key"),
    remove: () => rmSync(dir, { recursive: true, force: true })
  }
}
