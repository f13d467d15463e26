import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import * as Rules from "../../../src/domain/Rules.ts"
import { Alarms } from "../../../src/layers/pipeline/notifier/Alarms.ts"
import { FeedRound } from "../../../src/layers/pipeline/notifier/FeedRound.ts"
import { FeedSchedule } from "../../../src/layers/pipeline/notifier/FeedSchedule.ts"
import { FutureRows } from "../../../src/layers/pipeline/notifier/FutureRows.ts"
import { VirtualTime } from "../../simulation/VirtualTime.ts"

const row = (commitLsn: number, value = commitLsn) => ({
  id: `r${commitLsn}`, commitLsn, ordinal: 1, keys: [{ leaf: 1, root: 1, definition: 7, value }]
})

const alarmsOn = (time: VirtualTime): Alarms => {
  const alarms = new Alarms(() => time.now)
  Effect.runForkWith(time.context)(alarms.loop)
  return alarms
}

describe("FeedRound", () => {
  it("takes only rows below the lowest that the write buffer held since the scan began", () => {
    const round = new FeedRound(Rules.all)
    round.beginScan([row(30), row(50)])
    assert.deepStrictEqual([20, 30, 40].map((lsn) => round.isBelowBuffer(row(lsn))), [true, false, false])
    round.written(row(20))
    assert.isFalse(round.isBelowBuffer(row(20)))
    assert.isFalse(round.clean)
    round.beginScan([])
    assert.isTrue(round.isBelowBuffer(row(90)))
    assert.isTrue(round.clean)
  })

  it("holds later rows that share a key with one that went back behind its cursor", () => {
    const round = new FeedRound(Rules.all)
    round.beginScan([])
    round.cursor = row(40)
    round.written(row(10, 7))
    round.back(row(20, 8))
    round.back(row(60, 9))
    assert.deepStrictEqual([7, 8, 9].map((value) => round.blocks(row(50, value))), [true, true, false])
    assert.strictEqual(round.firstPassed?.commitLsn, 10)
  })

  it("passes over a row that went back to the table while the scan ran, and forgets one that was decided", () => {
    const round = new FeedRound(Rules.all)
    round.beginScan([])
    round.leaves("r60")
    round.back(row(60))
    round.leaves("r70")
    assert.deepStrictEqual([round.isStale(row(60)), round.isBack(row(60))], [false, true])
    assert.isTrue(round.isStale(row(70)))
    round.beginScan([])
    assert.isFalse(round.isStale(row(70)))
  })

  it("lets go of the keys of a dead one", () => {
    const round = new FeedRound(Rules.all)
    round.beginScan([])
    round.cursor = row(40)
    round.written(row(10, 7))
    round.dead(row(10, 7))
    assert.isFalse(round.blocks(row(50, 7)))
  })
})

describe("FutureRows", () => {
  it("gives each row once, in order, when the stream is there, and skips its event once", () => {
    const future = new FutureRows()
    for (const lsn of [10, 20, 30]) future.add({ ...row(lsn), state: "waiting", bytes: 1, parkedAtMs: 0 })
    const reached: Array<number> = []
    const reach = (commitLsn: number, ordinal: number) => future.reach({ commitLsn, ordinal }, (one) => reached.push(one.commitLsn))
    reach(20, 0)
    assert.deepStrictEqual(reached, [10])
    reach(20, 1)
    assert.deepStrictEqual([reached, future.size, [...future.ahead()]], [[10, 20], 1, ["r30"]])
    assert.deepStrictEqual([future.skips("r20"), future.skips("r20"), future.skips("r99")], [true, false, false])
    reach(Infinity, 0)
    assert.deepStrictEqual([reached, future.size, future.ahead().size], [[10, 20, 30], 0, 0])
  })
})

describe("Alarms", () => {
  it("calls in order of time, also what is set earlier later on", () => {
    const time = new VirtualTime(1_000)
    const alarms = alarmsOn(time)
    const called: Array<string> = []
    for (const ms of [50, 20, 90, 10, 20]) alarms.at(1_000 + ms, () => called.push(`${ms}@${time.now - 1_000}`))
    time.runUntil(() => false, 1_030)
    alarms.at(1_040, () => called.push(`40@${time.now - 1_000}`))
    time.runUntil(() => false, 2_000)
    assert.deepStrictEqual(called, ["10@10", "20@20", "20@20", "40@40", "50@50", "90@90"])
  })
})

describe("FeedSchedule", () => {
  const scheduleOn = (time: VirtualTime, begin: () => boolean) => {
    const alarms = alarmsOn(time)
    return { schedule: new FeedSchedule(alarms, () => time.now, begin), heap: (alarms as unknown as { readonly heap: ReadonlyArray<unknown> }).heap }
  }

  it("begins at the earliest time asked for, once, and rests between rounds by how long the last one took", () => {
    const time = new VirtualTime(0)
    const begun: Array<number> = []
    const { schedule } = scheduleOn(time, () => begun.push(time.now) > 0)
    schedule.request(500)
    schedule.request(100)
    schedule.request(300)
    time.runUntil(() => false, 400)
    schedule.requestNow()
    time.runUntil(() => false, 1_000)
    assert.deepStrictEqual(begun, [100])
    const endedAt = time.now
    schedule.ended(30)
    time.runUntil(() => false, 2_000)
    assert.deepStrictEqual(begun, [100, endedAt + 120])
  })

  it("asks again only when it is asked, if a round could not begin", () => {
    const time = new VirtualTime(0)
    let possible = false
    let begun = 0
    const { schedule } = scheduleOn(time, () => {
      if (possible) begun++
      return possible
    })
    schedule.request(10)
    time.runUntil(() => false, 100)
    possible = true
    time.runUntil(() => false, 200)
    assert.strictEqual(begun, 0)
    schedule.requestNow()
    time.runUntil(() => false, 300)
    assert.strictEqual(begun, 1)
  })

  it("sets one alarm for a far time, however many rounds end before it", () => {
    const time = new VirtualTime(0)
    const { schedule, heap } = scheduleOn(time, () => true)
    for (let round = 0; round < 500; round++) {
      schedule.requestNow()
      time.runUntil(() => false, time.now + 50)
      schedule.request(36_000_000)
      schedule.ended(0)
    }
    assert.isBelow(heap.length, 5)
  })
})
