/** Ends a connection that says nothing more to what was sent: a network that is half open tells nobody. */
import type * as Net from "node:net"

/** `limitMs`: without a byte either way while an answer is due; `undefined`: it may take for ever. */
export const endSilent = (socket: Net.Socket, limitMs: number | undefined): Net.Socket => {
  if (limitMs === undefined) return socket
  /** Bytes that were read when something was sent last. */
  let readBefore: number | undefined
  const write = socket.write.bind(socket) as (...args: ReadonlyArray<unknown>) => boolean
  socket.write = (...args: ReadonlyArray<unknown>): boolean => {
    readBefore = socket.bytesRead
    return write(...args)
  }
  socket.setTimeout(limitMs)
  socket.on("timeout", () => {
    if (readBefore === socket.bytesRead) socket.destroy(new Error(`no answer within ${limitMs / 1000} s`))
  })
  return socket
}
