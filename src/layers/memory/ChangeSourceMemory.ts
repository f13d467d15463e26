/**
 * A slot in memory, with the same contract as `SlotSource` (`test/suites/ChangeSourceSuite.ts` runs against both).
 * `ChangeSourceControl` plays the server: it commits, sends keepalives and cuts the connection.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Frame } from "../../domain/Frame.ts"
import { type Lsn, zero } from "../../domain/Lsn.ts"
import {
  ChangeSource,
  type Plugin,
  type SourceConnection,
  SourceError
} from "../../services/ChangeSource.ts"

export interface MemoryTransaction {
  /** End LSN of the commit record: above the one before. */
  readonly endLsn: Lsn
  /** XLogData frames, Begin to Commit: start LSN and the plugin's payload. */
  readonly frames: ReadonlyArray<{ readonly lsn: Lsn; readonly payload: Buffer }>
}

export class ChangeSourceControl extends Context.Service<
  ChangeSourceControl,
  {
    commit(transaction: MemoryTransaction): Effect.Effect<void>
    /** To the connection that is open now; nobody remembers it. */
    keepalive(walEnd: Lsn): Effect.Effect<void>
    /** Ends the connection that is open now. Frames that were sent before are still read. */
    disconnect(error: SourceError): Effect.Effect<void>
    /** In place of the last transaction, for the next `open`: how one that was cut off comes again. */
    replaceLast(transaction: MemoryTransaction): Effect.Effect<void>
    /** The next `open` fails with this. */
    refuse(error: SourceError): Effect.Effect<void>
    /** Every `open` fails with this, until `undefined`. */
    refuseAll(error: SourceError | undefined): Effect.Effect<void>
    setTimeline(timeline: number): Effect.Effect<void>
    readonly acknowledged: Effect.Effect<Lsn>
    /** Positions that were asked for, one for each `open`. */
    readonly opened: Effect.Effect<ReadonlyArray<Lsn>>
  }
>()("pgstream/layers/memory/ChangeSourceControl") {}

export interface MemorySlot {
  readonly systemIdentifier: string
  readonly slotName: string
  readonly plugin: Plugin
  readonly serverVersion: number
}

export const defaultSlot: MemorySlot = {
  systemIdentifier: "7000000000000000000",
  slotName: "memory",
  plugin: "pgoutput",
  serverVersion: 150_000
}

interface Reader {
  frames: Array<Frame>
  error: SourceError | undefined
  wake: (() => void) | undefined
}

const EMPTY = Buffer.alloc(0)

class Slot {
  readonly settings: MemorySlot
  readonly transactions: Array<MemoryTransaction> = []
  readonly opened: Array<Lsn> = []
  acknowledged: Lsn = zero
  timeline = 1
  refusal: SourceError | undefined
  refusalOfAll: SourceError | undefined
  reader: Reader | undefined

  constructor(settings: MemorySlot) {
    this.settings = settings
  }

  get stream() {
    return { systemIdentifier: this.settings.systemIdentifier, slotName: this.settings.slotName }
  }

  send(frames: ReadonlyArray<Frame>): void {
    this.reader?.frames.push(...frames)
    this.reader?.wake?.()
  }

  static framesOf(transaction: MemoryTransaction): ReadonlyArray<Frame> {
    return transaction.frames.map(({ lsn, payload }) => ({
      keepalive: false,
      lsn,
      bytes: payload,
      start: 0,
      end: payload.length
    }))
  }

  inUse(): SourceError {
    return new SourceError({
      code: "SlotInUse",
      permanent: false,
      mend: "Close the other reader.",
      summary: `Cannot read replication slot "${this.settings.slotName}": another reader holds it.`
    })
  }
}

const readFrom = (reader: Reader): SourceConnection["read"] => {
  const arrived = Effect.callback<void>((resume) => {
    if (reader.frames.length > 0 || reader.error !== undefined) return resume(Effect.void)
    reader.wake = () => {
      reader.wake = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      reader.wake = undefined
    })
  })
  const read: SourceConnection["read"] = Effect.suspend(() => {
    const frames = reader.frames
    if (frames.length > 0) {
      reader.frames = []
      return Effect.succeed({ frames, bytes: frames.reduce((sum, { end, start }) => sum + end - start, 0) })
    }
    return reader.error === undefined ? Effect.andThen(arrived, read) : Effect.fail(reader.error)
  })
  return read
}

const open = (slot: Slot) =>
  Effect.fnUntraced(function*(from: Lsn) {
    slot.opened.push(from)
    if (slot.refusal !== undefined) {
      const refusal = slot.refusal
      slot.refusal = undefined
      return yield* refusal
    }
    if (slot.refusalOfAll !== undefined) return yield* slot.refusalOfAll
    if (slot.reader !== undefined) return yield* slot.inUse()
    const startedAt = Math.max(from, slot.acknowledged)
    const reader: Reader = { frames: [], error: undefined, wake: undefined }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        slot.reader = reader
        slot.send(slot.transactions.filter(({ endLsn }) => endLsn > startedAt).flatMap(Slot.framesOf))
      }),
      () =>
        Effect.sync(() => {
          if (slot.reader === reader) slot.reader = undefined
        })
    )
    const connection: SourceConnection = {
      stream: slot.stream,
      plugin: slot.settings.plugin,
      startedAt,
      serverVersion: slot.settings.serverVersion,
      timeline: slot.timeline,
      read: readFrom(reader),
      acknowledge: (position) => {
        slot.acknowledged = Math.max(slot.acknowledged, position)
      }
    }
    return connection
  })

const control = (slot: Slot): ChangeSourceControl["Service"] => ({
  commit: (transaction) =>
    Effect.sync(() => {
      slot.transactions.push(transaction)
      slot.send(Slot.framesOf(transaction))
    }),
  keepalive: (walEnd) =>
    Effect.sync(() => slot.send([{ keepalive: true, lsn: walEnd, bytes: EMPTY, start: 0, end: 0 }])),
  disconnect: (error) =>
    Effect.sync(() => {
      const reader = slot.reader
      slot.reader = undefined
      if (reader === undefined) return
      reader.error = error
      reader.wake?.()
    }),
  refuse: (error) =>
    Effect.sync(() => {
      slot.refusal = error
    }),
  replaceLast: (transaction) =>
    Effect.sync(() => {
      slot.transactions[slot.transactions.length - 1] = transaction
    }),
  refuseAll: (error) =>
    Effect.sync(() => {
      slot.refusalOfAll = error
    }),
  setTimeline: (timeline) =>
    Effect.sync(() => {
      slot.timeline = timeline
    }),
  acknowledged: Effect.sync(() => slot.acknowledged),
  opened: Effect.sync(() => [...slot.opened])
})

export const layer = (
  settings: Partial<MemorySlot> = {}
): Layer.Layer<ChangeSource | ChangeSourceControl> =>
  Layer.effectContext(
    Effect.sync(() => {
      const slot = new Slot({ ...defaultSlot, ...settings })
      return Context.make(
        ChangeSource,
        ChangeSource.of({ identify: Effect.succeed(slot.stream), open: open(slot) })
      ).pipe(Context.add(ChangeSourceControl, control(slot)))
    })
  )
