/**
 * A server that listens as long as the scope lives; a port that cannot be had is an error that
 * names the mend.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { listensAt } from "./guarding.ts"

export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  what: Schema.String,
  address: Schema.String,
  /** `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
  reason: Schema.String,
  /** The variable that names another address. */
  setting: Schema.String
}) {
  /** A precondition of the environment. */
  readonly exitCode = 4
  get code() {
    return this.reason === "EADDRINUSE" ? "AddressInUse" : "AddressNotAvailable"
  }
  override get message() {
    const seen = this.reason === "EADDRINUSE" ? "another process listens there" : this.reason
    return `Cannot serve the ${this.what} on ${this.address}: ${seen}.\n\n`
      + `  Stop that process, or choose another address:   ${this.setting}=127.0.0.1:0\n\n${this.code}`
  }
}

interface Where {
  readonly what: string
  readonly host: string
  /** `0` = a free one. */
  readonly port: number
  readonly setting: string
}

/**
 * Open connections of one server; a further one is closed at once. File descriptors are for webhooks and Postgres, and
 * a connection is there before any token is read.
 */
export const MAX_CONNECTIONS = 256

/** Gives the port that it listens on; webhooks never reach it. Closing ends open connections at once. */
export const listening = (server: Server, where: Where): Effect.Effect<number, ListenError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number, ListenError>((resume) => {
      server.once("error", (error) => {
        const reason = "code" in error ? String(error.code) : error.name
        resume(Effect.fail(new ListenError({ ...where, address: `${where.host}:${where.port}`, reason })))
      })
      server.maxConnections = MAX_CONNECTIONS
      server.listen(where.port, where.host, () => {
        const { port } = server.address() as AddressInfo
        server.once("close", listensAt({ host: where.host, port }))
        resume(Effect.succeed(port))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
