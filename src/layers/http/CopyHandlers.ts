/** What the API does with copies. A condition is shown to who may change something, and nowhere else. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Result from "effect/Result"
import { isCopyId } from "../../domain/copy/Copy.ts"
import * as Progress from "../../domain/Progress.ts"
import * as TablePattern from "../../domain/TablePattern.ts"
import { ApiCaller } from "../../services/ApiCaller.ts"
import * as Problems from "../../services/ApiProblems.ts"
import * as Audit from "../../services/Audit.ts"
import { CopyAsking, type CopyAskingError, type CopyRefused, type CopyWish } from "../../services/CopyAsking.ts"
import { CopyRequests } from "../../services/CopyRequests.ts"
import { SubscriptionApi } from "../../services/SubscriptionApi.ts"
import { storeProblem } from "./storeProblem.ts"

/** Longest wait for the source in one request, ms; to plan a condition takes less. */
const SOURCE_TIMEOUT_MS = 20_000

const SOURCE_AWAY = "The source database does not answer now. Ask again: the same copy is not made twice."
const SOURCE_REFUSED = "The source database answered with an error; the service's log has it. What is wrong with it:   pgstream status"
const refuses = storeProblem(
  "subscriptions", "The store of the subscriptions does not answer now, and nothing was requested; try again."
)
const NOT_THERE = "No copy has this id. What there is:   GET /webhooks/snapshots"
const NO_SUBSCRIPTION = "No subscription has this id. What there is:   GET /webhooks/subscriptions"

const away = () => Effect.fail(new Problems.SourceUnavailable({ detail: SOURCE_AWAY }))

const sourceRefused = (error: Error) =>
  Effect.andThen(
    Effect.logError("The source database refused what the API asked of it.", error),
    Effect.fail(new Problems.SourceRefused({ detail: SOURCE_REFUSED }))
  )

const soon = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Problems.SourceUnavailable, R> =>
  Effect.timeoutOrElse(effect, { duration: SOURCE_TIMEOUT_MS, orElse: away })

const refusedCopy = ({ problems }: CopyRefused): Problems.CopyRefused | Problems.NoSuchSubscription => {
  if (problems.some(({ part }) => part === "subscription")) return new Problems.NoSuchSubscription({ detail: NO_SUBSCRIPTION })
  const errors = problems.map(({ part, problem }) => ({ field: part, problem }))
  return new Problems.CopyRefused({ detail: `${problems.map(({ part, problem }) => `${part} ${problem}`.trim()).join("; ")}.`, errors })
}

type AskProblem =
  | Problems.CopyRefused | Problems.NoSuchSubscription | Problems.SourceUnavailable | Problems.SourceRefused
  | Problems.StoreUnavailable | Problems.StoreRefused

/** What `CopyAsking` says, as problems of the API. */
const askProblem = (error: CopyAskingError): Effect.Effect<never, AskProblem> => {
  switch (error._tag) {
    case "CopyRefused":
      return Effect.fail(refusedCopy(error))
    case "CopyRequestsError":
      return sourceRefused(error)
    case "TableCatalogError":
      return error.unavailable ? away() : sourceRefused(error)
    default:
      return refuses(error)
  }
}

/** What `subscribe` with `"snapshot": true` asks for: all that the subscription selects. */
export const wholeOf = (subscription: string): CopyWish =>
  ({ subscription, tables: [], excluded: [], schemaOnly: [], where: undefined, mode: "full", repeatable: true })

/** The request's schema has looked at each. */
const patterns = (texts: ReadonlyArray<string> = []): ReadonlyArray<TablePattern.TablePattern> =>
  texts.flatMap((text) => Result.match(TablePattern.parse(text), { onSuccess: (pattern) => [pattern], onFailure: () => [] }))

export const ask = (wish: CopyWish) =>
  Effect.gen(function*() {
    const asked = CopyAsking.use((asking) => asking.ask(wish)).pipe(Effect.catch(askProblem))
    const { copies, notes } = yield* soon(asked)
    for (const { id } of copies) {
      yield* Audit.record({
        action: "snapshot.request",
        details: { copyId: id, subscriptionId: wish.subscription ?? "", condition: wish.where !== undefined }
      })
    }
    return { copies, notes }
  })

const notThere = () => Effect.fail(new Problems.NoSuchCopy({ detail: NOT_THERE }))

export const layer = HttpApiBuilder.group(
  SubscriptionApi,
  "copies",
  Effect.fn(function*(group) {
    const requests = yield* CopyRequests
    const asking = yield* CopyAsking
    const wish = { pause: requests.pause, resume: requests.resume, cancel: requests.cancel } as const
    const wishOf = { paused: "pause", running: "resume", cancelled: "cancel" } as const

    return group.handleAll({
      request: Effect.fn("CopyApi.request")(function*({ params: { id }, payload }) {
        const { copies, notes } = yield* ask({
          ...wholeOf(id),
          tables: patterns(payload.tables),
          excluded: patterns(payload.excluded_tables),
          where: payload.where ?? undefined,
          mode: payload.mode ?? "full"
        }).pipe(Effect.provideService(CopyAsking, asking))
        return { snapshots: copies.map((copy) => Progress.view(copy, true)), notes }
      }),
      list: Effect.fn("CopyApi.list")(function*() {
        const { scope } = yield* ApiCaller
        const copies = yield* soon(requests.list).pipe(Effect.catchTags({ CopyRequestsError: sourceRefused }))
        return { snapshots: copies.map((copy) => Progress.view(copy, scope === "manage")) }
      }),
      get: Effect.fn("CopyApi.get")(function*({ params: { id } }) {
        const { scope } = yield* ApiCaller
        if (!isCopyId(id)) return yield* notThere()
        const copy = yield* soon(requests.get(id)).pipe(
          Effect.catchTags({ CopyRequestsError: sourceRefused, CopyUnknown: notThere })
        )
        return Progress.view(copy, scope === "manage")
      }),
      change: Effect.fn("CopyApi.change")(function*({ params: { id }, payload: { state } }) {
        if (!isCopyId(id)) return yield* notThere()
        const copy = yield* soon(wish[wishOf[state]](id)).pipe(
          Effect.catchTags({
            CopyRequestsError: sourceRefused,
            CopyUnknown: notThere,
            CopyIsOver: ({ message }) => Effect.fail(new Problems.CopyIsOver({ detail: message }))
          })
        )
        yield* Audit.record({ action: "snapshot.change", details: { copyId: id, state } })
        return Progress.view(copy, true)
      })
    })
  })
)
