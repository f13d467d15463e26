import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DeliveryAdminPg from "../../src/layers/postgres/store/DeliveryAdminPg.ts"
import * as DeliveryLogPg from "../../src/layers/postgres/store/DeliveryLogPg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SegmentsPg from "../../src/layers/postgres/store/SegmentsPg.ts"
import * as SequenceRangesPg from "../../src/layers/postgres/store/SequenceRangesPg.ts"
import * as VerifyPg from "../../src/layers/postgres/store/VerifyPg.ts"
import * as StreamId from "../../src/domain/StreamId.ts"
import { suite, urlOf } from "../suites/VerifySuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("verify")
const layer = Layer.mergeAll(VerifyPg.layer, DeliveryAdminPg.layer, DeliveryLogPg.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(ParkedDeliveriesPg.layer, SegmentsPg.layer, SequenceRangesPg.layer)),
  Layer.provide(migratedStore(database.url))
)

suite("postgres", layer, (stream, endpoint, count, epoch) =>
  Effect.sync(() => database.psql(`
    INSERT INTO pgstream.webhook_endpoints (id, url) VALUES ('${endpoint}', '${urlOf(endpoint)}');
    INSERT INTO pgstream.endpoint_streams (stream, endpoint_id, count, epoch) VALUES ('${StreamId.format(stream)}', '${endpoint}', ${count}, '${epoch}')`)))
