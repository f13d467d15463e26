/** No copies: chunks pass, marks that somebody wrote end here. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mark from "../../domain/copy/Mark.ts"
import { Snapshotter } from "../../services/Snapshotter.ts"

export const layer = Layer.succeed(Snapshotter, {
  open: (shapes) =>
    Effect.succeed({
      advance: (chunk) => shapes.advance(Mark.dropped(chunk)),
      settled: () => Effect.void
    })
})
