import * as Layer from "effect/Layer"
import * as EndpointStatesPg from "../../src/layers/postgres/store/EndpointStatesPg.ts"
import * as EndpointStorePg from "../../src/layers/postgres/store/EndpointStorePg.ts"
import * as NoticeStorePg from "../../src/layers/postgres/store/NoticeStorePg.ts"
import * as ParkedDeliveriesPg from "../../src/layers/postgres/store/ParkedDeliveriesPg.ts"
import * as SubscriptionStorePg from "../../src/layers/postgres/store/SubscriptionStorePg.ts"
import { notifierDefaults, NotifierSettings } from "../../src/services/Settings.ts"
import { suite } from "../suites/NoticeStoreSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

suite("postgres", Layer.mergeAll(
  NoticeStorePg.layer, EndpointStatesPg.layer, EndpointStorePg.layerFor({ systemIdentifier: "1", slotName: "s" }), ParkedDeliveriesPg.layer,
  SubscriptionStorePg.layer
).pipe(Layer.provide(Layer.mergeAll(
  migratedStore(testDatabase("notices").url), Layer.succeed(NotifierSettings, notifierDefaults)
))))
