/** What a store says, as a problem of the API: it is away, or it refused something, which the log then has. */
import * as Effect from "effect/Effect"
import * as Problems from "../../services/ApiProblems.ts"

export type StoreProblem = Problems.StoreUnavailable | Problems.StoreRefused

/** `store`: what is asked, in words. `away`: what a client is told while it does not answer. */
export const storeProblem = (store: string, away: string) =>
(error: { readonly unavailable?: boolean }): Effect.Effect<never, StoreProblem> =>
  error.unavailable === true
    ? Effect.fail(new Problems.StoreUnavailable({ detail: away }))
    : Effect.andThen(
      Effect.logError("The store refused what the API asked of it.", error),
      Effect.fail(new Problems.StoreRefused({
        detail: `The store of the ${store} answered with an error; the service's log has it. What is wrong with it:   pgstream status`
      }))
    )
