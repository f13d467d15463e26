/**
 * Keeps V8 from growing its young generation with the machine's memory: 16 MiB a half are as fast for what comes and goes
 * here (docs/adr/0013), and up to 64 are taken where there is room. Once a process runs there is no setting of the size,
 * only one of its growth: the binary begins with none (`bin/pgstream.cjs`), here it grows once, and no more.
 *
 * The old generation is collected when it is half as large again as what lived at the last time: V8 would let four times
 * that lie, as long as the machine has memory.
 *
 * For the binary: in an app that embeds us the heap is the app's. A size that was asked for (`NODE_OPTIONS`) holds.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"

/** Of both halves, bytes. */
const YOUNG_BYTES = 2 * 16 * 1024 * 1024
/** It would grow again when as much as it holds has survived: not in this time, ms. */
const LOOK_MS = 5

/** By which the old generation may grow, %. */
const OLD_GROWTH_PERCENT = 50

const youngBytes = (): number => getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0

const wasAskedFor = (): boolean => [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].some((text) => /semi[-_]space/.test(text))

const growBy = (factor: number): void => setFlagsFromString(`--semi-space-growth-factor=${factor}`)

/** Once in a process. */
export const limitHeap = (): void => {
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`)
  if (wasAskedFor()) return
  growBy(Math.max(1, Math.floor(YOUNG_BYTES / Math.max(youngBytes(), 1))))
  const timer = setInterval(() => {
    if (youngBytes() < YOUNG_BYTES) return
    clearInterval(timer)
    growBy(1)
  }, LOOK_MS)
  timer.unref()
}
