/** Bytes of a copy that were read and are not settled: what waits for a slow endpoint slows the copy, and nobody else. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

const LOOK_MS = 250

export class SnapshotterBudget {
  readonly #max: number
  readonly #room = Latch.makeUnsafe(true)
  readonly #held: () => boolean
  #bytes = 0

  /** `held`: nothing more is read for now; it is asked again every `LOOK_MS`. */
  constructor(max: number, held: () => boolean) {
    this.#max = max
    this.#held = held
  }

  /** Waits until `bytes` more fit; what is larger than all is let in alone. */
  take(bytes: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#held()) return Effect.andThen(Effect.sleep(LOOK_MS), this.take(bytes))
      if (this.#bytes === 0 || this.#bytes + bytes <= this.#max) {
        this.#bytes += bytes
        return Effect.void
      }
      this.#room.closeUnsafe()
      return Effect.andThen(this.#room.await, this.take(bytes))
    })
  }

  give(bytes: number): void {
    this.#bytes -= bytes
    this.#room.openUnsafe()
  }
}
