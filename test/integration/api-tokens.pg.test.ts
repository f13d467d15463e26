/** Named tokens in a real store. */
import * as Layer from "effect/Layer"
import * as ApiTokensPg from "../../src/layers/postgres/store/ApiTokensPg.ts"
import { suite } from "../suites/ApiTokensSuite.ts"
import { testDatabase } from "../support/database.ts"
import { migratedStore } from "../support/store.ts"

const database = testDatabase("api_tokens")
suite("postgres", ApiTokensPg.layer.pipe(Layer.provide(migratedStore(database.url))))
