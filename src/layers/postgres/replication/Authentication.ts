/** Answers the server's questions at the start of a connection: SCRAM-SHA-256, md5, clear text. */
import { PgAuth, PgProtocol } from "@effect/sql-pg"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomBytes } from "node:crypto"
import type { ConnectionTarget } from "../../../domain/PostgresUrl.ts"
import { SourceError } from "../../../services/ChangeSource.ts"
import * as PostgresUrl from "../../../domain/PostgresUrl.ts"

export class Authentication {
  readonly #target: ConnectionTarget
  readonly #send: (bytes: Uint8Array) => void
  readonly #refuse: (error: Error) => void
  #scram: PgAuth.ScramState | undefined
  #proven = true

  constructor(target: ConnectionTarget, send: (bytes: Uint8Array) => void, refuse: (error: Error) => void) {
    this.#target = target
    this.#send = send
    this.#refuse = refuse
  }

  #fail(what: string, mend: string): void {
    this.#refuse(
      new SourceError({
        code: "AuthenticationFailed",
        permanent: true,
        mend,
        summary: `Cannot log in to ${PostgresUrl.describe(this.#target)}: ${what}`
      })
    )
  }

  #password(): string | undefined {
    if (this.#target.password !== undefined) return Redacted.value(this.#target.password)
    this.#fail(
      "the server asks for a password and the URL has none.",
      "Put the password into the URL, or set PGPASSWORD."
    )
    return undefined
  }

  #next<A extends { readonly state: PgAuth.ScramState; readonly response: Uint8Array }>(
    result: Result.Result<A, PgAuth.AuthError>
  ): Uint8Array | undefined {
    if (Result.isFailure(result)) {
      this.#fail(result.failure.message, "Is this the right server? The exchange does not prove it.")
      return undefined
    }
    this.#scram = result.success.state
    return result.success.response
  }

  answer(message: PgProtocol.BackendMessage): void {
    switch (message._tag) {
      case "AuthenticationCleartextPassword": {
        const password = this.#password()
        if (password !== undefined) this.#send(PgProtocol.encodePasswordMessage({ password }))
        return
      }
      case "AuthenticationMD5Password": {
        const password = this.#password()
        if (password === undefined) return
        const hashed = PgAuth.md5Password({ user: this.#target.user, password, salt: message.salt })
        if (Result.isSuccess(hashed))
          this.#send(PgProtocol.encodePasswordMessage({ password: hashed.success }))
        return
      }
      case "AuthenticationSASL": {
        if (!message.mechanisms.includes(PgAuth.SCRAM_SHA_256)) {
          return this.#fail(
            `it offers only ${message.mechanisms.join(", ")}.`,
            "Let the user log in by scram-sha-256 in pg_hba.conf."
          )
        }
        const password = this.#password()
        if (password === undefined) return
        this.#proven = false
        const response = this.#next(
          PgAuth.scramInit({ password, nonce: randomBytes(18).toString("base64") })
        )
        if (response !== undefined) {
          this.#send(
            PgProtocol.encodeSASLInitialResponse({
              mechanism: PgAuth.SCRAM_SHA_256,
              initialResponse: response
            })
          )
        }
        return
      }
      case "AuthenticationSASLContinue": {
        if (this.#scram?._tag !== "ScramFirst")
          return this.#fail("the exchange is out of order.", "Is this a Postgres server?")
        const response = this.#next(PgAuth.scramContinue(this.#scram, message.data))
        if (response !== undefined) this.#send(PgProtocol.encodeSASLResponse({ data: response }))
        return
      }
      case "AuthenticationSASLFinal": {
        if (
          this.#scram?._tag !== "ScramFinal" ||
          Result.isFailure(PgAuth.scramFinish(this.#scram, message.data))
        ) {
          return this.#fail(
            "the server does not know the password either.",
            "Is this the right server? The exchange does not prove it."
          )
        }
        this.#proven = true
        return
      }
      case "AuthenticationOk":
        if (!this.#proven)
          this.#fail(
            "the server skipped its part of the exchange.",
            "Is this the right server? The exchange does not prove it."
          )
        return
      case "AuthenticationUnsupported":
        return this.#fail(
          `it asks for authentication method ${message.method}.`,
          "Let the user log in by scram-sha-256, md5 or a certificate in pg_hba.conf."
        )
      default:
        return
    }
  }
}
