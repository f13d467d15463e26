/** The part of the HTTP API that is about deliveries: what waits, what is dead, what was tried, and the proof of numbers. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as DeliverySelector from "../domain/DeliverySelector.ts"
import { isUuid } from "../domain/Subscription.ts"
import { NamedFields } from "./ApiNamedFields.ts"
import * as Problems from "./ApiProblems.ts"
import { absolute } from "./ApiUrl.ts"
import { MAX_PAGE } from "./DeliveryAdmin.ts"

/** Deliveries of a page where nothing is said. */
export const DEFAULT_PAGE = 100
export const MAX_RATE = 100_000

const text = Schema.String.annotate({ message: "must be a string" }).check(Schema.makeFilter((given: string) =>
  !given.includes("\0") || "holds a NUL character, which nothing that is stored has"
))
const absentText = Schema.optionalKey(text)
const table = Schema.optionalKey(text.check(Schema.makeFilter((given: string) => DeliverySelector.tableProblem(given) ?? true)))

/** RFC 3339; ms since 1970. */
export const timeOf = (given: string): number | undefined => {
  const ms = /^\d{4}-\d{2}-\d{2}T/.test(given) ? Date.parse(given) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

const time = Schema.optionalKey(text.check(Schema.makeFilter((given: string) =>
  timeOf(given) !== undefined || "must be a time such as 2026-11-24T12:00:00Z"
))).annotateKey({ description: "RFC 3339. By the time of the commit." })

const uuid = Schema.optionalKey(text.check(Schema.makeFilter((given: string) =>
  isUuid(given) || "must be the id of an endpoint"
)))

const keyText = Schema.optionalKey(text.check(Schema.makeFilter((given: string) => {
  const key = DeliverySelector.parseKey(given)
  return Result.isSuccess(key) || key.failure
}))).annotateKey({ description: "id=42, or a=1,b=2: columns of the body. With a table." })

const stateOf = <const L extends ReadonlyArray<string>>(literals: L) =>
  Schema.optionalKey(Schema.Literals(literals).annotate({ message: `must be one of ${literals.join(", ")}` }))

export const ListQuery = Schema.Struct({
  endpoint: uuid,
  state: stateOf(["waiting", "dead", "delivered", "failed"]).annotateKey({
    description: "waiting, dead: what is stored. delivered, failed: attempts of the log. Absent: waiting and dead."
  }),
  table: table.annotateKey({ description: "schema.table" }),
  id: absentText.annotateKey({ description: "webhook-id" }),
  key: keyText.annotateKey({ description: "id=42, or a=1,b=2: columns of the body. Not with the scope read." }),
  from: time,
  to: time,
  order: stateOf(["newest", "oldest"]).annotateKey({ description: "newest first, where nothing is said." }),
  limit: Schema.optionalKey(text.check(Schema.makeFilter((given: string) =>
    (/^[1-9]\d*$/.test(given) && Number(given) <= MAX_PAGE) || `must be a whole number from 1 to ${MAX_PAGE}`
  ))),
  cursor: absentText.annotateKey({ description: "`next` of the page before." })
}).annotate({ messageUnexpectedKey: "is not known. Known are endpoint, state, table, id, key, from, to, order, limit and cursor" })

const OfEndpoint = Schema.Struct({ endpoint: uuid }).annotate({ messageUnexpectedKey: "is not known. Known is endpoint" })
const ShowQuery = Schema.Struct({
  body: Schema.optionalKey(Schema.Literals(["true", "false"]).annotate({ message: "must be true or false" }))
}).annotate({ messageUnexpectedKey: "is not known. Known is body" })

export const DeliveryView = Schema.Struct({
  endpoint_id: Schema.String,
  id: Schema.String,
  state: Schema.String,
  sequence: Schema.NullOr(Schema.Number),
  epoch: Schema.String,
  table: Schema.String,
  kind: Schema.String,
  attempts: Schema.Number,
  at: Schema.String.annotateKey({ description: "When it was parked, or the attempt began." }),
  committed_at: Schema.NullOr(Schema.String),
  due_at: Schema.NullOr(Schema.String),
  last_error: Schema.NullOr(Schema.String),
  took_ms: Schema.NullOr(Schema.Number)
}).annotate({ identifier: "Delivery" })

export const DeliveryList = Schema.Struct({
  deliveries: Schema.Array(DeliveryView),
  next: Schema.NullOr(Schema.String).annotateKey({ description: "The cursor of the next page; null: this is the end." })
}).annotate({ identifier: "DeliveryList" })

export const BlockingList = Schema.Struct({
  blocking: Schema.Array(Schema.Struct({ ...DeliveryView.fields, blocks: Schema.String, behind: Schema.Number })),
  partly: Schema.Array(Schema.Struct({ endpoint_id: Schema.String, looked_at: Schema.Number }))
}).annotate({ identifier: "BlockingList" })

export const CountsView = Schema.Struct({
  endpoints: Schema.Array(Schema.Struct({
    endpoint_id: Schema.String,
    waiting: Schema.Number,
    behind: Schema.Number.annotateKey({ description: "Events that wait in segments." }),
    dead: Schema.Number,
    oldest_at: Schema.NullOr(Schema.String)
  }))
}).annotate({ identifier: "DeliveryCounts" })

export const AttemptView = Schema.Struct({
  attempt: Schema.Number,
  at: Schema.String,
  took_ms: Schema.Number,
  status: Schema.NullOr(Schema.Number),
  reason: Schema.NullOr(Schema.String),
  answer_start: Schema.optionalKey(Schema.NullOr(Schema.String)).annotateKey({ description: "Not with the scope read." })
})

export const ShownView = Schema.Struct({
  ...DeliveryView.fields,
  tries: Schema.Array(AttemptView).annotateKey({ description: "What the log has, oldest first." }),
  body: Schema.optionalKey(Schema.NullOr(Schema.String)).annotateKey({ description: "With ?body=true; null: it is not kept." })
}).annotate({ identifier: "DeliveryShown" })

const selection = {
  endpoint: uuid,
  ids: Schema.optionalKey(Schema.Array(text).check(Schema.makeFilter((ids: ReadonlyArray<string>) =>
    ids.length <= DeliverySelector.MAX_IDS || `has more than ${DeliverySelector.MAX_IDS} entries`
  ))),
  state: stateOf(["waiting", "dead"]),
  table,
  key: keyText,
  from: time,
  to: time,
  all: Schema.optionalKey(Schema.Boolean.annotate({ message: "must be true or false" }))
    .annotateKey({ description: "Everything is meant: where nothing else is said, it must be true." })
}

const rate = Schema.optionalKey(Schema.Number.annotate({ message: "must be a whole number" }).check(
  Schema.isInt({ message: "must be a whole number" }),
  Schema.isBetween({ minimum: 1, maximum: MAX_RATE }, { message: `must be from 1 to ${MAX_RATE}` })
)).annotateKey({ description: "Deliveries a second; absent: as fast as it goes." })

const known = "endpoint, ids, state, table, key, from, to, all"
const requestOf = <F extends Schema.Struct.Fields>(identifier: string, fields: F, names: string) =>
  Schema.Struct(fields).annotate({
    identifier,
    message: "must be a JSON object, such as {\"state\": \"dead\"}",
    messageUnexpectedKey: `is not known. Known are ${names}`
  })

export const RetryRequest = requestOf("RetryRequest", { ...selection, rate }, `${known} and rate`)
export const ReplayRequest = requestOf("ReplayRequest", {
  ...selection, rate,
  url: Schema.optionalKey(absolute).annotateKey({ description: "Another URL; absent: the endpoint of each." })
}, `${known}, rate and url`)
export const PurgeRequest = requestOf("PurgeRequest", selection, known)

export const CommandViewSchema = Schema.Struct({
  id: Schema.Number,
  kind: Schema.String,
  selection: Schema.String,
  to_host: Schema.NullOr(Schema.String),
  rate: Schema.NullOr(Schema.Number),
  state: Schema.String.annotateKey({ description: "queued, running, done, failed or cancelled." }),
  done: Schema.Number,
  skipped: Schema.Number,
  note: Schema.NullOr(Schema.String),
  by: Schema.String,
  ordered_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String)
}).annotate({ identifier: "DeliveryCommand" })

const Ordered = Schema.Struct(CommandViewSchema.fields).annotate({ identifier: "DeliveryCommandOrdered", httpApiStatus: 202 })

const ranges = Schema.Array(Schema.Struct({ first: Schema.Number, last: Schema.Number }))
const account = Schema.Struct({ count: Schema.Number, ranges, more_ranges: Schema.Number })

export const VerifyView = Schema.Struct({
  endpoints: Schema.Array(Schema.Struct({
    endpoint_id: Schema.String,
    url: Schema.String,
    epoch: Schema.String,
    given: Schema.Number.annotateKey({ description: "Numbers at the checkpoint; above it nothing is settled yet." }),
    delivered: account,
    waiting: account,
    dead: account,
    suspended: account,
    withdrawn: account,
    purged: account,
    earlier_epochs: Schema.Number.annotateKey({ description: "Deliveries of earlier epochs that wait or are dead." })
  }))
}).annotate({ identifier: "Verify" })

const refused = [Problems.Unauthorized, Problems.NotAllowed, Problems.StoreUnavailable, Problems.StoreRefused] as const
const ordered = [...refused, Problems.ScopeTooSmall, Problems.NotJson, Problems.TooLarge, Problems.InvalidRequest] as const
const said = (summary: string, description?: string) =>
  OpenApi.annotations({ summary, ...(description === undefined ? {} : { description }) })
const commandParams = { id: Schema.String }

export const Deliveries = HttpApiGroup.make("deliveries")
  .add(
    HttpApiEndpoint.get("list", "/webhooks/deliveries", {
      query: ListQuery, success: DeliveryList, error: [...refused, Problems.ScopeTooSmall, Problems.InvalidRequest]
    })
      .annotateMerge(said("Deliveries that wait or are dead, or attempts of the log")),
    HttpApiEndpoint.get("blocking", "/webhooks/deliveries/blocking", {
      query: OfEndpoint, success: BlockingList, error: refused
    }).annotateMerge(said("What holds others up, and how many wait behind each")),
    HttpApiEndpoint.get("counts", "/webhooks/deliveries/counts", { success: CountsView, error: refused })
      .annotateMerge(said("How much of each endpoint waits, and is dead")),
    HttpApiEndpoint.get("commands", "/webhooks/deliveries/commands", {
      success: Schema.Struct({ commands: Schema.Array(CommandViewSchema) }), error: refused
    }).annotateMerge(said("What was ordered about deliveries, the newest 100")),
    HttpApiEndpoint.get("command", "/webhooks/deliveries/commands/:id", {
      params: commandParams, success: CommandViewSchema, error: [...refused, Problems.NoSuchCommand]
    }).annotateMerge(said("How far a command is")),
    HttpApiEndpoint.delete("cancel", "/webhooks/deliveries/commands/:id", {
      params: commandParams, success: CommandViewSchema, error: [...refused, Problems.ScopeTooSmall, Problems.NoSuchCommand]
    }).annotateMerge(said("Stop a command where it is")),
    HttpApiEndpoint.get("show", "/webhooks/deliveries/:endpoint/:id", {
      params: { endpoint: Schema.String, id: Schema.String }, query: ShowQuery,
      success: ShownView, error: [...refused, Problems.ScopeTooSmall, Problems.NoSuchDelivery]
    }).annotateMerge(said("One delivery, with what was tried")),
    HttpApiEndpoint.post("retry", "/webhooks/deliveries/retry", { payload: RetryRequest, success: Ordered, error: ordered })
      .annotateMerge(said("Try again now: dead ones wait again, waiting ones are due")),
    HttpApiEndpoint.post("replay", "/webhooks/deliveries/replay", { payload: ReplayRequest, success: Ordered, error: [...ordered, Problems.AddressNotAllowed] })
      .annotateMerge(said("Send again, under the same ids, to the same or another URL")),
    HttpApiEndpoint.post("purge", "/webhooks/deliveries/purge", { payload: PurgeRequest, success: Ordered, error: ordered })
      .annotateMerge(said("Erase what is stored of deliveries", "Rows, events that wait in segments, and bodies and answers of the log.")),
    HttpApiEndpoint.get("verify", "/webhooks/verify", { query: OfEndpoint, success: VerifyView, error: refused })
      .annotateMerge(said("Every number that was given, and where it is"))
  )
  .middleware(NamedFields)
  .annotateMerge(OpenApi.annotations({ title: "Deliveries" }))
