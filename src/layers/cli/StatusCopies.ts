/** Copies in `status`: the same numbers as `snapshot show` and the API have. */
import * as Effect from "effect/Effect"
import * as Progress from "../../domain/Progress.ts"
import * as ProgressText from "../../domain/ProgressText.ts"
import { type Copy, isOver, nameOf } from "../../domain/copy/Copy.ts"
import { CopyRequests } from "../../services/CopyRequests.ts"
import type { AppSettings } from "../app/Configuration.ts"
import { withCopies } from "./Snapshot.ts"

/** `status` does not wait longer for them, ms. */
const TIMEOUT_MS = 5_000
/** Failed tables of one copy that are named, at most. */
const MAX_NAMED = 10

/** Copies that are not over; what cannot be asked is a finding of another part. */
export const openCopies = (settings: AppSettings): Effect.Effect<ReadonlyArray<Copy>> =>
  withCopies(settings, Effect.flatMap(CopyRequests, ({ list }) => list)).pipe(
    Effect.map((copies) => copies.filter(({ state }) => !isOver(state))),
    Effect.timeoutOrElse({ duration: TIMEOUT_MS, orElse: () => Effect.succeed([]) }),
    Effect.catch(() => Effect.succeed([]))
  )

const failedOf = ({ progress }: Copy): ReadonlyArray<string> => {
  const failed = progress.filter(({ state }) => state === "failed")
  const more = failed.length > MAX_NAMED ? [`   and ${failed.length - MAX_NAMED} more tables failed`] : []
  return [...failed.slice(0, MAX_NAMED).map((table) => `   ${nameOf(table)} failed: ${table.error ?? "the log of the service says why"}`), ...more]
}

/** Nothing without copies: the block is as people know it. */
export const text = (copies: ReadonlyArray<Copy>): string =>
  copies.length === 0 ? "" : [
    "", "Snapshots:",
    ...copies.toReversed().flatMap((copy) => {
      const seen = Progress.observe(Progress.start(copy.updatedAtMs), [copy], copy.updatedAtMs)
      return [` - Copy ${copy.id}, ${copy.state}: ${ProgressText.summary(seen)}`, ...failedOf(copy)]
    })
  ].join("\n")

export const json = (copies: ReadonlyArray<Copy>) => copies.map((copy) => Progress.view(copy, true))
