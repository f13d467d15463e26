/** Captured bytes as frames, and what they decode to. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { BodyWriter } from "../../../../src/domain/Body.ts"
import type { Change } from "../../../../src/domain/Change.ts"
import type { Item } from "../../../../src/domain/Chunk.ts"
import * as Decoder from "../../../../src/domain/Decoder.ts"
import type { Frame } from "../../../../src/domain/Frame.ts"
import { frameOf, type Plugin } from "../../../fixtures/peek.ts"

const folder = join(import.meta.dirname, "../../../fixtures")
const fileOf = (major: number, plugin: Plugin): string => join(folder, `pg${major}.${plugin}.txt`)

export const majors = (plugin: Plugin): ReadonlyArray<number> =>
  [13, 14, 15, 16, 17, 18].filter((major) => existsSync(fileOf(major, plugin)))

export const framesOf = (major: number, plugin: Plugin): ReadonlyArray<Frame> =>
  readFileSync(fileOf(major, plugin), "utf8").split("\n").filter((line) => line !== "").map((line) => {
    const [lsn = "", hex = ""] = line.split(" ")
    return frameOf({ lsn, hex })
  })

/** The frames behind each other in one buffer, as a connection cuts them: a reader that leaves its frame reads its neighbour. */
export const inOneBuffer = (frames: ReadonlyArray<Frame>): ReadonlyArray<Frame> => {
  const bytes = Buffer.concat(frames.map((frame) => frame.bytes.subarray(frame.start, frame.end)))
  let at = 0
  return frames.map((frame) => {
    const start = at
    at += frame.end - frame.start
    return { keepalive: false, lsn: frame.lsn, bytes, start, end: at }
  })
}

export const decode = (plugin: Plugin, frames: ReadonlyArray<Frame>, maxFrameBytes = 1 << 24): ReadonlyArray<Item> => {
  const decoder = Decoder.make(plugin, { maxFrameBytes })
  const items: Array<Item> = []
  for (const frame of frames) decoder.push(frame, items)
  return items
}

export const changesOf = (items: ReadonlyArray<Item>): ReadonlyArray<Change> => items.filter((item) => item._tag === "Change")

const writer = new BodyWriter()
export const bodyOf = (change: Change): string => Buffer.from(writer.write(change)).toString("utf8")

export const nameOf = (change: Change): string =>
  change.relation === undefined ? `message ${change.message!.prefix}` : `${change.relation.schema}.${change.relation.table}`

/** A body without what differs from run to run. */
export const stableBody = (change: Change): string => bodyOf(change).replace(/"timestamp":"[^"]+","lsn":"[^"]+"/, "\"timestamp\":\"T\",\"lsn\":\"L\"")
  .replace(/"timestamp":"","lsn":"[^"]+"/, "\"timestamp\":\"\",\"lsn\":\"L\"")
