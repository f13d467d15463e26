/** The demo's receiver: hands on each body, answers 200. */
import { createServer } from "node:http"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { DemoError } from "./DemoError.ts"

const MAX_BODY_BYTES = 16 * 1024 * 1024

/** Listens on loopback until the scope ends. */
export const receiver = (port: number, onEvent: (body: string) => void): Effect.Effect<void, DemoError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, DemoError>((resume) => {
      const server = createServer((request, response) => {
        const pieces: Array<Buffer> = []
        let bytes = 0
        request.on("data", (piece: Buffer) => {
          bytes += piece.length
          if (bytes <= MAX_BODY_BYTES) pieces.push(piece)
        })
        request.on("end", () => {
          if (bytes <= MAX_BODY_BYTES) onEvent(Buffer.concat(pieces).toString("utf8"))
          response.end("ok")
        })
      })
      server.once("error", (error) =>
        resume(Effect.fail(new DemoError({ code: "AddressInUse", exitCode: 4, summary: `Cannot start the demo's receiver on port ${port}: ${error.message}`, mend: "Stop what listens there." }))))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.asVoid)
