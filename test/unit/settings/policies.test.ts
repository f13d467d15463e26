import * as Result from "effect/Result"
import { assert, it } from "vitest"
import { formatProblem } from "../../../src/layers/settings/ConfigurationError.ts"
import { resolve } from "../../../src/layers/settings/Resolve.ts"
import { notifierDefaults } from "../../../src/services/Settings.ts"

const url = "postgres://postgres@localhost:5432?sslmode=disable"
const given = (more: Record<string, string>) =>
  resolve({
    flags: {}, file: undefined, readFile: () => Result.fail("no such file or directory"),
    env: {
      PGSTREAM_POSTGRES_LISTENER_URL: url, PGSTREAM_WEBHOOK_SUBSCRIPTION_STORE_URL: url,
      ...Object.fromEntries(Object.entries(more).map(([name, value]) => [`PGSTREAM_WEBHOOK_NOTIFIER_${name}`, value]))
    }
  }, { target: true })
const notifier = (more: Record<string, string>) => given(more).settings!.notifier
const problems = (more: Record<string, string>) => given(more).problems.map(formatProblem)

it("has the defaults of the breaker, of the short schedule and of disabling", () => {
  const { breakerFailures, breakerPauseMaxMs, breakerPauseMs, breakerRatePercent, breakerWindow, disableAfterMs, refusedScheduleMs } = notifierDefaults
  assert.deepInclude(notifier({}), {
    breakerFailures, breakerPauseMaxMs, breakerPauseMs, breakerRatePercent, breakerWindow, disableAfterMs, refusedScheduleMs
  })
})

it("tries what is parked from 5 s to 10 h apart, for about three days; what is dead is kept for 30 days", () => {
  const { deadRetentionMs, parkedScheduleMs } = notifier({})
  assert.deepStrictEqual([parkedScheduleMs[0], parkedScheduleMs.at(-1)], [5_000, 36_000_000])
  assert.deepStrictEqual(parkedScheduleMs, parkedScheduleMs.toSorted((a, b) => a - b))
  // Each wait is jittered between half of it and all of it: three quarters in the middle.
  const days = parkedScheduleMs.reduce((sum, ms) => sum + ms, 0) * 0.75 / 86_400_000
  assert.isTrue(days > 2 && days < 3, `${days} days`)
  assert.strictEqual(deadRetentionMs, 30 * 86_400_000)
})

it("reads them, and 0 as never", () => {
  assert.deepInclude(notifier({
    REFUSED_SCHEDULE: "1s 2m", DISABLE_AFTER: "0", BREAKER_FAILURES: "3", BREAKER_RATE: "101", BREAKER_WINDOW: "10", BREAKER_PAUSE: "20m"
  }), {
    refusedScheduleMs: [1_000, 120_000], disableAfterMs: 0, breakerFailures: 3, breakerRatePercent: 101, breakerWindow: 10,
    breakerPauseMs: 1_200_000, breakerPauseMaxMs: 1_200_000
  })
  assert.strictEqual(notifier({ DISABLE_AFTER: "48h" }).disableAfterMs, 172_800_000)
})

it("refuses what makes no sense, by the key", () => {
  assert.match(problems({ DISABLE_AFTER: "-1h" })[0]!, /DISABLE_AFTER.*below zero/)
  assert.match(problems({ BREAKER_WINDOW: "1" })[0]!, /BREAKER_WINDOW.*from 10 to 10000/)
  assert.match(problems({ BREAKER_RATE: "0" })[0]!, /BREAKER_RATE.*from 1 to 101/)
  assert.match(problems({ REFUSED_SCHEDULE: "5" })[0]!, /REFUSED_SCHEDULE.*no unit/)
})
