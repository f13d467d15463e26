/** Deliveries for the commands of operators, on the store's database, with or without a service beside them. */
import * as Layer from "effect/Layer"
import * as DeliveryAdminPg from "../postgres/store/DeliveryAdminPg.ts"
import * as DeliveryCommandsPg from "../postgres/store/DeliveryCommandsPg.ts"
import * as SegmentsPg from "../postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../postgres/store/SequenceRangesPg.ts"
import * as VerifyPg from "../postgres/store/VerifyPg.ts"

export const layer = Layer.mergeAll(DeliveryAdminPg.layer, DeliveryCommandsPg.layer, VerifyPg.layer).pipe(
  Layer.provide(Layer.mergeAll(SegmentsPg.layer, SequenceRangesPg.layer))
)
