/** The part of the HTTP API that is about copies of rows that are there already. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Condition from "../domain/Condition.ts"
import * as TablePattern from "../domain/TablePattern.ts"
import { NamedFields } from "./ApiNamedFields.ts"
import * as Problems from "./ApiProblems.ts"

const isPattern = Schema.makeFilter((text: string) => {
  const parsed = TablePattern.parse(text)
  return Result.isSuccess(parsed) || parsed.failure
})
/** Patterns of one request, at most. */
const MAX_PATTERNS = 1_000

const Patterns = Schema.Array(Schema.String.annotate({ message: "must be a string" }).check(isPattern))
  .annotate({ message: "must be a list of tables, such as [\"orders\", \"sales.*\"]" })
  .check(Schema.makeFilter((list: ReadonlyArray<string>) => list.length <= MAX_PATTERNS || `has more than ${MAX_PATTERNS} entries`))

const isCondition = Schema.makeFilter((text: string) => Condition.problem(text) ?? true)

export const SnapshotRequest = Schema.Struct({
  tables: Schema.optionalKey(Patterns).annotateKey({
    description: "Patterns: orders, sales.*, *.*, a*, \"My Table\". Absent: all that the subscription selects."
  }),
  excluded_tables: Schema.optionalKey(Patterns).annotateKey({ description: "Patterns of tables to leave out." }),
  where: Schema.optionalKey(Schema.NullOr(
    Schema.String.annotate({ message: "must be a string: an SQL expression on the table's columns" }).check(isCondition)
  )).annotateKey({
    description: "Only rows for which this SQL expression is true. It is run read-only, with the rights of the service's role."
  }),
  mode: Schema.optionalKey(Schema.Literals(["full", "data", "schema"]).annotate({ message: "must be one of full, data, schema" }))
    .annotateKey({ description: "full: the schema log's newest entry, then the rows (default). data: rows. schema: entries." })
}).annotate({
  identifier: "SnapshotRequest",
  message: "must be a JSON object, such as {\"tables\": [\"orders\"]}; {} for all that the subscription selects",
  messageUnexpectedKey: "is not known. Known are tables, excluded_tables, where and mode"
})

export const ChangeCopyRequest = Schema.Struct({
  state: Schema.Literals(["paused", "running", "cancelled"]).annotate({ message: "must be one of paused, running, cancelled" })
    .annotateKey({ messageMissingKey: "is missing: one of paused, running, cancelled" })
}).annotate({
  identifier: "ChangeCopyRequest",
  message: "must be a JSON object, such as {\"state\": \"paused\"}",
  messageUnexpectedKey: "is not known. Known is state"
})

const estimate = Schema.NullOr(Schema.Number).annotateKey({ description: "An estimate of Postgres; null: there is none." })

const TableView = Schema.Struct({
  schema: Schema.String,
  table: Schema.String,
  state: Schema.String.annotateKey({ description: "waiting, running, done or failed." }),
  rows: Schema.Number.annotateKey({ description: "Delivered or parked." }),
  bytes: Schema.Number,
  total_rows: estimate,
  total_bytes: estimate,
  error: Schema.NullOr(Schema.String)
})

export const CopyView = Schema.Struct({
  id: Schema.String,
  state: Schema.String.annotateKey({ description: "requested, running, paused, done, failed or cancelled." }),
  subscription_id: Schema.NullOr(Schema.String).annotateKey({ description: "null: for each that takes inserts of the tables." }),
  mode: Schema.String,
  where: Schema.optionalKey(Schema.NullOr(Schema.String)).annotateKey({ description: "Not with the scope read." }),
  rows: Schema.Number,
  bytes: Schema.Number,
  total_rows: estimate,
  total_bytes: estimate,
  percent: Schema.Number,
  error: Schema.NullOr(Schema.String),
  created_at: Schema.String,
  updated_at: Schema.String,
  tables: Schema.Array(TableView)
}).annotate({ identifier: "Copy" })

export const CopyList = Schema.Struct({ snapshots: Schema.Array(CopyView) }).annotate({ identifier: "CopyList" })

export const SnapshotAsked = Schema.Struct({
  snapshots: Schema.Array(CopyView).annotateKey({ description: "Empty: nothing matches now." }),
  notes: Schema.Array(Schema.String).annotateKey({ description: "Patterns that match nothing now, tables that cannot be copied." })
}).annotate({ identifier: "SnapshotAsked", httpApiStatus: 202 })

const params = { id: Schema.String }
const refused = [Problems.Unauthorized, Problems.NotAllowed] as const
const source = [Problems.SourceUnavailable, Problems.SourceRefused] as const
const refusedBody = [...refused, Problems.ScopeTooSmall, Problems.NotJson, Problems.TooLarge] as const

export const Copies = HttpApiGroup.make("copies")
  .add(
    HttpApiEndpoint.post("request", "/webhooks/subscriptions/:id/snapshot", {
      params,
      payload: SnapshotRequest,
      success: SnapshotAsked,
      error: [
        ...refusedBody, ...source, Problems.StoreUnavailable, Problems.StoreRefused, Problems.NoSuchSubscription,
        Problems.CopyRefused
      ]
    }).annotateMerge(OpenApi.annotations({
      summary: "Send a subscription the rows that are there",
      description: "Nobody else sees them. Asked again before it is over, the same copy goes on."
    })),
    HttpApiEndpoint.get("list", "/webhooks/snapshots", { success: CopyList, error: [...refused, ...source] })
      .annotateMerge(OpenApi.annotations({ summary: "All copies, newest first" })),
    HttpApiEndpoint.get("get", "/webhooks/snapshots/:id", {
      params, success: CopyView, error: [...refused, ...source, Problems.NoSuchCopy]
    }).annotateMerge(OpenApi.annotations({ summary: "How far a copy is" })),
    HttpApiEndpoint.patch("change", "/webhooks/snapshots/:id", {
      params,
      payload: ChangeCopyRequest,
      success: CopyView,
      error: [...refusedBody, ...source, Problems.NoSuchCopy, Problems.CopyIsOver]
    }).annotateMerge(OpenApi.annotations({
      summary: "Pause, resume or cancel a copy",
      description: "What was sent stays sent."
    }))
  )
  .middleware(NamedFields)
  .annotateMerge(OpenApi.annotations({ title: "Snapshots" }))
