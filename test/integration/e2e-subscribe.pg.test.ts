/**
 * The promise of `subscribe`: each change that is committed after the answer is delivered, none that was committed before
 * the subscription. 400 races, while another session commits without a pause.
 */
import { afterAll, assert, describe, it } from "vitest"
import { callApi, makeProgram, subscribe } from "../support/binary.ts"
import { eventually, testDatabase } from "../support/database.ts"
import { type Received, startReceiver, valueOf } from "../support/Receiver.ts"
import { OpenSession } from "../support/sessions.ts"

const RACES = Number(process.env["PGSTREAM_RACES"] ?? "400")
const SIDE_BY_SIDE = 4
/** Rows of one transaction of the session that commits without a pause. */
const ROWS = 3

const database = testDatabase("e2e_subscribe")
const program = await makeProgram({ url: database.url, slot: `e2e_subscribe_${process.pid}` })
/** What came, by endpoint. */
const received = new Map<string, Array<Received>>()
const receiver = await startReceiver({
  answer: (one) => {
    const before = received.get(one.endpoint)
    if (before === undefined) received.set(one.endpoint, [one])
    else before.push(one)
    return { status: 200 }
  }
})
afterAll(() => receiver.close())

/** Numbers its rows 1, 2, 3 …, in the order of their commits. */
class Noise {
  started = 0
  committed = 0
  private stopping = false
  private readonly done: Promise<void>

  constructor(session: OpenSession) {
    this.done = this.run(session)
  }

  private async run(session: OpenSession): Promise<void> {
    while (!this.stopping) {
      this.started += ROWS
      await session.run(`INSERT INTO events(n) SELECT generate_series(${this.committed + 1}, ${this.started});`)
      this.committed = this.started
    }
  }

  stop(): Promise<void> {
    this.stopping = true
    return this.done
  }
}

const numberOf = (one: Received, column: string): number | null => {
  const value = valueOf(one.data.columns, column)
  return value === null ? null : Number(value)
}

/** Everything up to the row `after` is there: its number and all before it. */
const isComplete = (all: ReadonlyArray<Received>, after: number): boolean => {
  const last = all.find((one) => numberOf(one, "id") === after)
  return last !== undefined && new Set(all.map(({ sequence }) => sequence).filter((n) => n <= last.sequence)).size === last.sequence
}

const race = async (session: OpenSession, noise: Noise, n: number): Promise<void> => {
  const insert = async (): Promise<number> => Number(await session.run(`INSERT INTO events(n) VALUES (NULL) RETURNING id;`))
  const subscription = { url: `${receiver.url}/${n}`, schema: "public", table: "events" }
  const before = await insert()
  const committedBefore = noise.committed
  const answer = await subscribe(program, { ...subscription, event_types: ["I"] })
  const startedBefore = noise.started
  assert.strictEqual(answer.status, 201)
  const after = await insert()
  const endpoint = String(answer.body["endpoint_id"])
  await eventually(`race ${n}: what came after the answer`, () => isComplete(received.get(endpoint) ?? [], after))
  const all = received.get(endpoint)!
  const until = all.find((one) => numberOf(one, "id") === after)!.sequence
  assert.notInclude(all.map((one) => numberOf(one, "id")), before, `race ${n}: what was committed before`)
  const noisy = all.filter(({ sequence }) => sequence < until).map((one) => numberOf(one, "n")).filter((value) => value !== null).toSorted((a, b) => a - b)
  const [first, last] = [noisy[0], noisy.at(-1)]
  if (first !== undefined && last !== undefined) {
    assert.deepStrictEqual(noisy, Array.from({ length: last - first + 1 }, (_, k) => first + k), `race ${n}: a gap`)
    assert.isAbove(first, committedBefore, `race ${n}: committed before the call`)
    if (last > startedBefore) assert.isAtMost(first, startedBefore + 1, `race ${n}: committed after the answer`)
  }
  assert.strictEqual((await callApi(program, "/webhooks/unsubscribe", subscription)).status, 200)
}

describe("subscribe, while others commit", () => {
  it(`holds its promise in ${RACES} races`, async () => {
    database.psql(`CREATE TABLE events(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int)`)
    await program.init()
    const running = await program.run()
    const sessions = Array.from({ length: SIDE_BY_SIDE }, () => new OpenSession(database.name))
    const noisy = new OpenSession(database.name)
    const noise = new Noise(noisy)
    let next = 0
    await Promise.all(sessions.map(async (session) => {
      for (let n = next++; n < RACES; n = next++) await race(session, noise, n)
    }))
    await noise.stop()
    await Promise.all([...sessions, noisy].map((session) => session.end()))
    assert.strictEqual(received.size, RACES)
    assert.deepStrictEqual(receiver.problems, [])
    const ended = await running.stop()
    assert.strictEqual(ended.code, 0, ended.stderr)
  }, 180_000)
})
