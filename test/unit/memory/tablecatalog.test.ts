import * as TableCatalogMemory from "../../../src/layers/memory/TableCatalogMemory.ts"
import { suite } from "../../suites/TableCatalogSuite.ts"

suite("memory", TableCatalogMemory.layer({
  schemas: ["app", "empty", "public"],
  tables: [
    { oid: 1, schema: "app", name: "events", kind: "partitioned table", partitionOf: undefined },
    { oid: 2, schema: "app", name: "events_1", kind: "table", partitionOf: 1 },
    { oid: 3, schema: "public", name: "orders", kind: "table", partitionOf: undefined },
    { oid: 4, schema: "public", name: "v", kind: "view", partitionOf: undefined }
  ]
}, { "public.orders": ["id", "name"] }))
