/** The whole pipeline with its layers, until it fails for good or is interrupted. */
import * as Effect from "effect/Effect"
import * as Supervision from "../pipeline/Supervision.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import { pipelineLayer } from "./AppLive.ts"
import { limitHeap } from "./limitHeap.ts"

/** Without layers: an embedder provides them, its own before ours. */
export const pipeline = Supervision.run

/** For the binary: the process is ours. */
export const runPipeline = (settings: AppSettings) =>
  Effect.andThen(Effect.sync(limitHeap), pipeline.pipe(Effect.provide(pipelineLayer(settings))))
