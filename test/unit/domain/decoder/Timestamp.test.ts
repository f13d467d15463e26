import { assert, describe, it } from "@effect/vitest"
import * as Timestamp from "../../../../src/domain/Timestamp.ts"

describe("Timestamp", () => {
  it("prints as Postgres does, zeros at the end of the fraction cut", () => {
    assert.strictEqual(Timestamp.format(0), "2000-01-01 00:00:00+00")
    assert.strictEqual(Timestamp.format(848_881_941_229_440), "2026-11-25 00:32:21.22944+00")
    assert.strictEqual(Timestamp.format(1), "2000-01-01 00:00:00.000001+00")
    assert.strictEqual(Timestamp.format(-1), "1999-12-31 23:59:59.999999+00")
    assert.strictEqual(Timestamp.format(-2000 * 365.25 * 86_400_000_000), "0002-12-17 00:00:00+00 BC")
  })
  it("parse inverts format", () => {
    for (let us = 100_000_000_000_007; us < 900_000_000_000_000; us += 7_777_777_777_777) assert.strictEqual(Timestamp.parse(Timestamp.format(us)), us)
  })
  it("reads every zone to the same moment", () => {
    const at = Timestamp.parse("2026-11-24 12:00:00+00")
    assert.strictEqual(Timestamp.parse("2026-11-24 17:30:00+05:30"), at)
    assert.strictEqual(Timestamp.parse("2026-11-24 08:30:00-03:30"), at)
  })
  it("prints a configured zone, on both sides of a change of the clocks", () => {
    const zone = Timestamp.zone("Europe/Madrid")!
    assert.strictEqual(Timestamp.format(Timestamp.parse("2026-07-01 10:00:00.5+00")!, zone), "2026-07-01 12:00:00.5+02")
    assert.strictEqual(Timestamp.format(Timestamp.parse("2026-12-01 10:00:00+00")!, zone), "2026-12-01 11:00:00+01")
    assert.strictEqual(Timestamp.format(Timestamp.parse("2026-10-25 00:59:59+00")!, zone), "2026-10-25 02:59:59+02")
    assert.strictEqual(Timestamp.format(Timestamp.parse("2026-10-25 01:00:00+00")!, zone), "2026-10-25 02:00:00+01")
    assert.strictEqual(Timestamp.format(0, Timestamp.zone("Asia/Kolkata")), "2000-01-01 05:30:00+05:30")
    assert.strictEqual(Timestamp.format(0, Timestamp.zone("America/St_Johns")), "1999-12-31 20:30:00-03:30")
    assert.isUndefined(Timestamp.zone("Nowhere/Atlantis"))
  })
  it("refuses what is no ISO time", () => {
    for (const text of ["", "now", "2026-11-24", "24/11/2026 12:00:00 UTC", "2026-11-24T12:00:00Z"]) assert.isUndefined(Timestamp.parse(text))
  })
})
