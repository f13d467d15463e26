/** The whole pipeline with its layers, until it fails for good or is interrupted. */
import * as Effect from "effect/Effect"
import * as Supervision from "../pipeline/Supervision.ts"
import type { AppSettings } from "../settings/Resolve.ts"
import { pipelineLayer } from "./AppLive.ts"

export const runPipeline = (settings: AppSettings) => Supervision.run.pipe(Effect.provide(pipelineLayer(settings)))
