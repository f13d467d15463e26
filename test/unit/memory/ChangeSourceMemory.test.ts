import * as Effect from "effect/Effect"
import * as ChangeSourceMemory from "../../../src/layers/memory/ChangeSourceMemory.ts"
import { suite } from "../../suites/ChangeSourceSuite.ts"

let end = 1_000

suite("memory", ChangeSourceMemory.layer(), {
  write: (numbers) =>
    Effect.gen(function*() {
      const control = yield* ChangeSourceMemory.ChangeSourceControl
      const endLsn = end += 100
      yield* control.commit({
        endLsn,
        frames: [...numbers.map((number) => `I${number}`), `C${endLsn}`].map((text) => ({ lsn: endLsn - 50, payload: Buffer.from(text) }))
      })
    }),
  read: ({ bytes, end, start }) => {
    const text = bytes.toString("utf8", start, end)
    return text.startsWith("C") ? { commit: Number(text.slice(1)) } : { inserted: Number(text.slice(1)) }
  },
  confirmed: Effect.flatMap(ChangeSourceMemory.ChangeSourceControl, (control) => control.acknowledged)
})
