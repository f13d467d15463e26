/** No heartbeat: for sources whose slot keeps no WAL (memory). */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Heartbeat } from "../../services/Heartbeat.ts"

export const layer = Layer.succeed(Heartbeat, Heartbeat.of({ behindBytes: Effect.succeed(0), beat: Effect.void }))
