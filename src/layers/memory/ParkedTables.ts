/** Rows of the parked deliveries in memory, one for all layers of a graph that read or write them. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { format, type StreamId } from "../../domain/StreamId.ts"
import type { EndpointId } from "../../domain/Subscription.ts"
import type { ParkedDelivery } from "../../services/ParkedDeliveries.ts"

export interface Row extends ParkedDelivery {
  /** ms since 1970. */
  readonly diedAtMs: number | undefined
  readonly parkedAtMs: number
}

/** By event id. */
export type Rows = Map<string, Row>

export class ParkedTables extends Context.Service<ParkedTables, {
  /** By stream and endpoint. */
  readonly streams: Map<string, Map<EndpointId, Rows>>
}>()("pgstream/layers/memory/ParkedTables") {}

export const layer: Layer.Layer<ParkedTables> = Layer.sync(ParkedTables, () => ({ streams: new Map() }))

export const endpointsOf = ({ streams }: ParkedTables["Service"], stream: StreamId): Map<EndpointId, Rows> => {
  const key = format(stream)
  let endpoints = streams.get(key)
  if (endpoints === undefined) streams.set(key, endpoints = new Map())
  return endpoints
}
