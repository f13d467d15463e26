import * as Layer from "effect/Layer"
import * as NoticeStorePg from "../../src/layers/postgres/store/NoticeStorePg.ts"
import { suite } from "../suites/NoticeStoreSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

suite("postgres", NoticeStorePg.layer.pipe(Layer.provide(migratedStore(testDatabase("notices").url))))
