/** pgoutput messages (protocol 1) made by hand, for sources that are not a server. */
import * as Lsn from "../../src/domain/Lsn.ts"

const integer = (bytes: 1 | 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
const lsn = (value: Lsn.Lsn): Buffer => {
  const buffer = Buffer.alloc(8)
  Lsn.write(buffer, 0, value)
  return buffer
}
const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const join = (kind: string, ...parts: ReadonlyArray<Buffer>): Buffer => Buffer.concat([Buffer.from(kind), ...parts])

/** Times are µs since 2000. */
export const begin = (commitLsn: Lsn.Lsn, timeUs: number, xid: number) => join("B", lsn(commitLsn), lsn(timeUs), integer(4, xid))
export const commit = (commitLsn: Lsn.Lsn, endLsn: Lsn.Lsn, timeUs: number) => join("C", integer(1, 0), lsn(commitLsn), lsn(endLsn), lsn(timeUs))
/** Table `public.t (n int4 primary key)`. */
export const relation = (oid: number) =>
  join("R", integer(4, oid), text("public"), text("t"), Buffer.from("d"), integer(2, 1), integer(1, 1), text("n"), integer(4, 23), integer(4, 0xffffffff))
export const insert = (oid: number, value: string) =>
  join("I", integer(4, oid), Buffer.from("N"), integer(2, 1), Buffer.from("t"), integer(4, Buffer.byteLength(value)), Buffer.from(value))
/** A logical message. */
export const message = (transactional: boolean, at: Lsn.Lsn, prefix: string, content: string) =>
  join("M", integer(1, transactional ? 1 : 0), lsn(at), text(prefix), integer(4, Buffer.byteLength(content)), Buffer.from(content))
