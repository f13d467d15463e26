/** `Setup` on real databases: what `init`, `destroy`, `status` and `run` (its checks) do to them and ask of them. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Setup } from "../../../services/Setup.ts"
import { checkAlone } from "./SetupAlone.ts"
import { check } from "./SetupCheck.ts"
import { destroy } from "./SetupDestroy.ts"
import { init } from "./SetupInit.ts"
import { migrate } from "./SetupMigrations.ts"
import * as SetupPrint from "./SetupPrint.ts"
import * as SetupParts from "./SetupParts.ts"
import { status } from "./SetupStatus.ts"

/** Needs a `DdlTracker` that does not scan: `init` and `destroy` call it themselves. */
export const layer = Layer.effect(
  Setup,
  Effect.map(SetupParts.make, (parts) =>
    Setup.of({
      init: (options) => init(parts, options),
      migrate: migrate(parts),
      destroy: destroy(parts),
      status: status(parts),
      check: check(parts),
      checkAlone: checkAlone(parts),
      sql: (options) => SetupPrint.print(parts, options)
    })
  )
)
