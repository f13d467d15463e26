/** Rows of `pgstream.webhook_deliveries` as values, and back. */
import * as Result from "effect/Result"
import type { Key } from "../../../domain/Key.ts"
import * as Lsn from "../../../domain/Lsn.ts"
import type { SealError, Seals } from "./Seals.ts"
import type { LoadedKeys, ParkedDelivery, ParkedState } from "../../../services/ParkedDeliveries.ts"

export interface DeliveryRow {
  readonly event_id: string
  readonly commit_lsn: string
  readonly ordinal: bigint
  readonly state: ParkedState
  readonly due_at: Date
  readonly attempts: number
  readonly retries: number
  readonly sequence: bigint
  readonly epoch: string
  readonly last_error: string | null
  readonly table_name: string
  readonly kind: string
  readonly selected_by: string
  readonly keys: string
  readonly body: Uint8Array
}

export type KeysRow = Pick<DeliveryRow, "event_id" | "commit_lsn" | "ordinal" | "state" | "keys"> & {
  readonly endpoint_id: string
  readonly bytes: number
  readonly parked_at: Date
}

/** `leaf,root,definition,value` of each key, separated by semicolons. Exact: numbers print so that they read back. */
export const keysText = (keys: ReadonlyArray<Key>): string =>
  keys.map((key) => `${key.leaf},${key.root},${key.definition},${key.value}`).join(";")

export const parseKeys = (text: string): ReadonlyArray<Key> =>
  text === "" ? [] : text.split(";").map((part) => {
    const [leaf = 0, root = 0, definition = 0, value = 0] = part.split(",").map(Number)
    return { leaf, root, definition, value }
  })

const lsnOf = (text: string): Lsn.Lsn => Result.getOrThrow(Lsn.parse(text))

/** Additional data of a sealed body. Without the stream: `init --adopt` gives a row another one. */
export const bodyContext = (endpointId: string, eventId: string): string => `body ${endpointId} ${eventId}`

const withBody = (endpointId: string, row: DeliveryRow, body: Uint8Array): ParkedDelivery => ({
  endpointId,
  id: row.event_id,
  body,
  keys: parseKeys(row.keys),
  sequence: Number(row.sequence),
  epoch: row.epoch,
  selectedBy: row.selected_by === "" ? [] : row.selected_by.split(","),
  commitLsn: lsnOf(row.commit_lsn),
  ordinal: Number(row.ordinal),
  table: row.table_name,
  kind: row.kind,
  attempts: row.attempts,
  state: row.state,
  dueAtMs: row.due_at.getTime(),
  retries: row.retries,
  lastError: row.last_error ?? undefined
})

export const deliveryOf = (
  seals: Seals, endpointId: string, row: DeliveryRow
): Result.Result<ParkedDelivery, SealError> =>
  Result.map(
    seals.open(row.body, bodyContext(endpointId, row.event_id)),
    (body) => withBody(endpointId, row, body)
  )

export const keysOf = (row: KeysRow): LoadedKeys => ({
  endpointId: row.endpoint_id,
  id: row.event_id,
  keys: parseKeys(row.keys),
  commitLsn: lsnOf(row.commit_lsn),
  ordinal: Number(row.ordinal),
  state: row.state,
  bytes: row.bytes,
  parkedAtMs: row.parked_at.getTime()
})
