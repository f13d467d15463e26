/** Same contract as `CopyRequestsPg`; `test/suites/CopyRequestsSuite.ts` runs against both. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { after, type Copy, type CopyId, type CopyState, isOver } from "../../domain/copy/Copy.ts"
import { decide, superfluous } from "../../domain/copy/create.ts"
import { CopyIsOver, CopyRequests, CopyUnknown, type OpenCopy, type PendingKey, type TableRecord } from "../../services/CopyRequests.ts"

interface Kept {
  copy: Copy
  readonly tables: Map<number, TableRecord>
  readonly pending: Map<string, PendingKey>
}

const keyOf = (pending: PendingKey): string => JSON.stringify([pending.oid, pending.key])

const shown = ({ copy, tables }: Kept): Copy => ({
  ...copy,
  progress: [...tables.values()].map(({ bytes, error, rows, schema, state, table, totalBytes, totalRows }) =>
    ({ schema, table, state, rows, bytes, totalRows, totalBytes, error }))
})

const make = () => {
  const kept = new Map<CopyId, Kept>()
  let last = 0

  const change = (id: CopyId, state: CopyState, error: string | undefined) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const it = kept.get(id)
      if (it === undefined) return
      it.copy = { ...it.copy, state, error: error ?? it.copy.error, updatedAtMs: now }
      if (isOver(state)) it.pending.clear()
    })

  const get = (id: CopyId) =>
    Effect.suspend(() => {
      const it = kept.get(id)
      return it === undefined ? Effect.fail(new CopyUnknown({ id })) : Effect.succeed(shown(it))
    })

  const steer = (wish: "pause" | "resume" | "cancel") => (id: CopyId) =>
    Effect.gen(function*() {
      const copy = yield* get(id)
      const state = after(copy.state, wish)
      if (state === undefined) return yield* new CopyIsOver({ id, state: copy.state as CopyIsOver["state"] })
      yield* change(id, state, undefined)
      return yield* get(id)
    })

  return CopyRequests.of({
    create: (spec) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const known = [...kept.values()].map(shown)
        const { goesOn, skipped, tables } = decide(spec, known)
        if (tables.length === 0) return { copy: goesOn, skipped }
        for (const id of superfluous(known)) kept.delete(id)
        const id = String(++last)
        const copy: Copy = {
          ...spec, tables, id, state: "requested", error: undefined, createdAtMs: now, updatedAtMs: now, progress: []
        }
        kept.set(id, { copy, tables: new Map(), pending: new Map() })
        return { copy, skipped }
      }),
    list: Effect.sync(() => [...kept.values()].map(shown).toReversed()),
    get,
    pause: steer("pause"),
    resume: steer("resume"),
    cancel: steer("cancel"),
    open: Effect.sync(() =>
      [...kept.values()]
        .filter(({ copy }) => !isOver(copy.state))
        .map((it): OpenCopy => ({ copy: shown(it), tables: [...it.tables.values()], pending: [...it.pending.values()] }))
    ),
    setState: (id, state, error) =>
      Effect.suspend(() => {
        const now = kept.get(id)?.copy.state
        return now === undefined || isOver(now) || now === "paused" ? Effect.void : change(id, state, error)
      }),
    saveTables: (id, tables) =>
      Effect.sync(() => {
        for (const table of tables) kept.get(id)?.tables.set(table.oid, table)
      }),
    addPending: (keys) =>
      Effect.sync(() => {
        for (const key of keys) {
          const it = kept.get(key.copy)
          if (it !== undefined && !isOver(it.copy.state)) it.pending.set(keyOf(key), key)
        }
      }),
    removePending: (keys) =>
      Effect.sync(() => {
        for (const key of keys) kept.get(key.copy)?.pending.delete(keyOf(key))
      })
  })
}

export const layer: Layer.Layer<CopyRequests> = Layer.effect(CopyRequests, Effect.sync(make))
