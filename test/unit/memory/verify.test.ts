import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StreamId from "../../../src/domain/StreamId.ts"
import * as DeliveryAdminMemory from "../../../src/layers/memory/DeliveryAdminMemory.ts"
import * as DeliveryLogMemory from "../../../src/layers/memory/DeliveryLogMemory.ts"
import * as ParkedDeliveriesMemory from "../../../src/layers/memory/ParkedDeliveriesMemory.ts"
import * as SegmentsMemory from "../../../src/layers/memory/SegmentsMemory.ts"
import * as SequenceRangesMemory from "../../../src/layers/memory/SequenceRangesMemory.ts"
import * as VerifyMemory from "../../../src/layers/memory/VerifyMemory.ts"
import type { EndpointCount } from "../../../src/services/Checkpoint.ts"
import { suite, urlOf } from "../../suites/VerifySuite.ts"

const counts = new Map<string, Map<string, EndpointCount>>()
const of = (stream: StreamId.StreamId): Map<string, EndpointCount> => {
  const name = StreamId.format(stream)
  const found = counts.get(name) ?? new Map<string, EndpointCount>()
  counts.set(name, found)
  return found
}

const layer = Layer.mergeAll(
  VerifyMemory.layer(of, urlOf), DeliveryAdminMemory.layer, DeliveryLogMemory.layer, ParkedDeliveriesMemory.layer
).pipe(Layer.provideMerge(Layer.mergeAll(SegmentsMemory.layer, SequenceRangesMemory.layer)))

suite("memory", layer, (stream, endpoint, count, epoch) => Effect.sync(() => of(stream).set(endpoint, { count, epoch })))
