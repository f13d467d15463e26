/**
 * The relations and types that pgoutput described on this connection. A description that comes again and says the
 * same keeps its object, so that what is cached by it stays.
 */
import type { Column, Relation } from "../Change.ts"
import { ownSchema, readTables } from "../Transactions.ts"
import * as TypeName from "../TypeName.ts"

export interface Known {
  readonly relation: Relation
  /** A table of ours that nobody reads: counted, and dropped. */
  readonly dropped: boolean
  /** The message's bytes and the names of its types: what "the same" means. */
  readonly source: Buffer
  readonly types: string
}

interface NamedType {
  readonly schema: string
  readonly name: string
}

const identities: Record<number, "d" | "n" | "f" | "i"> = { 0x64: "d", 0x6e: "n", 0x66: "f", 0x69: "i" }

/** Reads one message behind its type byte. `at` is past `end` as soon as something was missing. */
class Reader {
  at: number
  readonly bytes: Buffer
  readonly end: number
  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes
    this.at = start
    this.end = end
  }
  get failed(): boolean {
    return this.at > this.end
  }
  uint(size: 1 | 2 | 4): number {
    const at = this.at
    this.at += size
    return this.failed ? 0 : this.bytes.readUIntBE(at, size)
  }
  int32(): number {
    return this.uint(4) | 0
  }
  text(): string {
    const stop = this.failed ? -1 : this.bytes.indexOf(0, this.at)
    if (stop < 0 || stop >= this.end) {
      this.at = this.end + 1
      return ""
    }
    const text = this.bytes.toString("utf8", this.at, stop)
    this.at = stop + 1
    return text
  }
}

export class Relations {
  private readonly relations = new Map<number, Known>()
  private readonly types = new Map<number, NamedType>()

  get(oid: number): Known | undefined {
    return this.relations.get(oid)
  }

  /** A Type message. `false` if it could not be read. */
  type(bytes: Buffer, start: number, end: number): boolean {
    const reader = new Reader(bytes, start, end)
    const oid = reader.uint(4)
    const schema = reader.text()
    const name = reader.text()
    if (reader.failed) return false
    this.types.set(oid, { schema, name })
    return true
  }

  /** A Relation message. `false` if it could not be read: what is known of that relation is forgotten. */
  relation(bytes: Buffer, start: number, end: number): boolean {
    const reader = new Reader(bytes, start, end)
    const oid = reader.uint(4)
    const schema = reader.text() || "pg_catalog"
    const table = reader.text()
    const replicaIdentity = identities[reader.uint(1)]
    const count = reader.uint(2)
    const columns: Array<Column> = []
    for (let i = 0; i < count && !reader.failed; i++) columns.push(this.column(reader))
    if (reader.failed || replicaIdentity === undefined) {
      this.relations.delete(oid)
      return false
    }
    const types = columns.map((column) => column.typeName).join("\n")
    const before = this.relations.get(oid)
    if (before?.types === types && before.source.equals(bytes.subarray(start, end))) return true
    this.relations.set(oid, {
      relation: { oid, schema, table, replicaIdentity, columns },
      dropped: schema === ownSchema && !readTables.has(table),
      source: Buffer.from(bytes.subarray(start, end)),
      types
    })
    return true
  }

  private column(reader: Reader): Column {
    const key = (reader.uint(1) & 1) === 1
    const name = reader.text()
    const typeOid = reader.uint(4)
    const typmod = reader.int32()
    const named = this.types.get(typeOid)
    const typeName = TypeName.ofOid(typeOid, typmod) ??
      (named === undefined ? `oid:${typeOid}` : TypeName.ofTypeMessage(named.schema, named.name, typmod))
    return { name, typeOid, typmod, typeName, valueClass: TypeName.valueClassOf(typeOid), key }
  }
}
