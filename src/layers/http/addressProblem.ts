/** A URL that nothing is sent to, as a problem of the API: each request that has one names it `url`. */
import * as Effect from "effect/Effect"
import type { AddressRefused } from "../../services/AddressGuard.ts"
import * as Problems from "../../services/ApiProblems.ts"

export const addressProblem = ({ message }: AddressRefused): Effect.Effect<never, Problems.AddressNotAllowed> =>
  Effect.fail(new Problems.AddressNotAllowed({ detail: message, errors: [{ field: "url", problem: message }] }))
