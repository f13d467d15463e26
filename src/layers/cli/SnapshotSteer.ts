/** `pgstream snapshot list | show | pause | resume | cancel`. */
import * as Effect from "effect/Effect"
import * as Progress from "../../domain/Progress.ts"
import * as ProgressText from "../../domain/ProgressText.ts"
import { nameOf } from "../../domain/copy/Copy.ts"
import * as Audit from "../../services/Audit.ts"
import { type Copy, CopyRequests } from "../../services/CopyRequests.ts"
import type { Connection, Output } from "./Admin.ts"
import { CommandFailed } from "./Failure.ts"
import { print, say } from "./Globals.ts"
import { copyIdOf, steering } from "./Snapshot.ts"
import { seconds, shortId, table } from "./TextTable.ts"

const percent = (share: number): string => `${Math.floor(share * 100)}%`

const tablesOf = ({ tables }: Copy): string =>
  tables.length === 1 ? nameOf(tables[0]!) : `${tables.length} tables`

const row = (copy: Copy): ReadonlyArray<string> => {
  const totals = Progress.totals([copy])
  return [
    copy.id, copy.state, percent(totals.share), `${totals.rows}`, ProgressText.bytes(totals.bytes), seconds(copy.createdAtMs),
    copy.subscription === undefined ? "all" : shortId(copy.subscription), tablesOf(copy)
  ]
}

export const list = (flags: Connection & Output) =>
  steering(flags, Effect.gen(function*() {
    const copies = yield* (yield* CopyRequests).list
    if (flags.json) return yield* print(JSON.stringify({ snapshots: copies.map((copy) => Progress.view(copy, true)) }))
    yield* print(table(["ID", "STATE", "DONE", "ROWS", "BYTES", "SINCE", "FOR", "TABLES"], copies.map(row)))
  }))

const unknown = ({ message }: { readonly message: string }) =>
  Effect.fail(new CommandFailed({ exitCode: 1, text: `${message}\n\nNothing was changed.  NoSuchCopy` }))

const details = (copy: Copy): string => {
  const progress = Progress.observe(Progress.start(copy.updatedAtMs), [copy], copy.updatedAtMs)
  return [
    `copy ${copy.id}: ${copy.state}, ${ProgressText.summary(progress)}`,
    ...(copy.error === undefined ? [] : [`error: ${copy.error}`]),
    `for: ${copy.subscription ?? "all that take inserts"}; mode: ${copy.mode}; since ${seconds(copy.createdAtMs)}`,
    ...(copy.where === undefined ? [] : [`where: ${copy.where}`]),
    "",
    table(["TABLE", "STATE", "DONE", "ROWS", "BYTES", "ERROR"], progress.tables.map((one) => [
      nameOf(one), one.state, percent(Progress.shareOf(one)), `${one.rows}`, ProgressText.bytes(one.bytes), one.error ?? ""
    ]))
  ].join("\n")
}

export const show = Effect.fn("cli.snapshot.show")(function*(flags: Connection & Output & { readonly id: string }) {
  const id = yield* copyIdOf(flags.id)
  yield* steering(flags, Effect.gen(function*() {
    const copy = yield* (yield* CopyRequests).get(id).pipe(Effect.catchTags({ CopyUnknown: unknown }))
    yield* print(flags.json ? JSON.stringify(Progress.view(copy, true)) : details(copy))
  }))
})

/** As `PATCH` of the API names it. */
const stateOf = { pause: "paused", resume: "running", cancel: "cancelled" } as const

const done = { pause: "is paused", resume: "goes on", cancel: "is cancelled; what was sent stays sent" } as const

export const change = Effect.fn("cli.snapshot.change")(function*(
  wish: "pause" | "resume" | "cancel", flags: Connection & Output & { readonly id: string }
) {
  const id = yield* copyIdOf(flags.id)
  yield* steering(flags, Effect.gen(function*() {
    const requests = yield* CopyRequests
    const change = { pause: requests.pause, resume: requests.resume, cancel: requests.cancel }[wish]
    const copy = yield* change(id).pipe(Effect.catchTags({
      CopyUnknown: unknown,
      CopyIsOver: ({ message }) => Effect.fail(new CommandFailed({ exitCode: 1, text: `${message}\n\nNothing was changed.  CopyIsOver` }))
    }))
    yield* Audit.record({ action: "snapshot.change", details: { copyId: id, state: stateOf[wish] } })
    if (flags.json) yield* print(JSON.stringify(Progress.view(copy, true)))
    yield* say(`SUCCESS  copy ${id} ${done[wish]}`)
  }))
})
