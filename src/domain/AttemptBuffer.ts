/**
 * What became of attempts, between two flushes of the delivery log: of each endpoint the last successes in arrays
 * that are written over, and failures up to a bound; beyond it the oldest are counted. A success makes no object.
 */
import type { AttemptResult } from "./Delivery.ts"
import type { Key } from "./Key.ts"
import type { Lsn } from "./Lsn.ts"
import * as RetryPolicy from "./RetryPolicy.ts"

/** Successes of an endpoint that are kept. */
export const SUCCESSES = 100
/** Failures of an endpoint, and of all, that are held. */
export const MAX_FAILURES_OF_ENDPOINT = 500
export const MAX_FAILURES = 5_000
/** Answers and bodies that are held for failures and successes, bytes. */
export const MAX_HELD_BYTES = 32 * 1024 * 1024
/** A larger body is not kept with the log. */
export const MAX_BODY_BYTES = 256 * 1024

/** What is known of a delivery when its attempt ends. */
export interface AttemptFacts {
  readonly endpointId: string
  readonly id: string
  readonly sequence: number
  readonly epoch: string
  readonly table: string
  readonly kind: string
  readonly body: Uint8Array
  /** Its place in the stream, and what it was ordered by: for a replay of what was accepted. */
  readonly commitLsn: Lsn
  readonly ordinal: number
  readonly keys: ReadonlyArray<Key>
  /** Which attempt of the delivery it was, from 1. */
  readonly attempts: number
}

export interface HeldAttempt extends Omit<AttemptFacts, "body"> {
  readonly status: number | undefined
  /** `""`: it was accepted. */
  readonly reason: string
  readonly answerStart: string | undefined
  readonly tookMs: number
  /** ms since 1970. */
  readonly atMs: number
  readonly body: Uint8Array | undefined
}

const NO_KEYS: ReadonlyArray<Key> = []

/** The last successes of an endpoint since they were taken. */
class Ring {
  readonly #ids: Array<string> = []
  readonly #epochs: Array<string> = []
  readonly #tables: Array<string> = []
  readonly #kinds: Array<string> = []
  readonly #keys: Array<ReadonlyArray<Key>> = []
  readonly #bodies: Array<Uint8Array | undefined> = []
  readonly #sequences = new Float64Array(SUCCESSES)
  readonly #lsns = new Float64Array(SUCCESSES)
  readonly #ordinals = new Float64Array(SUCCESSES)
  readonly #at = new Float64Array(SUCCESSES)
  readonly #took = new Float64Array(SUCCESSES)
  readonly #attempts = new Uint32Array(SUCCESSES)
  readonly #statuses = new Uint16Array(SUCCESSES)
  #next = 0
  /** How many it has. */
  size = 0

  /** Returns by how many bytes what it holds grew. */
  add(facts: AttemptFacts, status: number, atMs: number, tookMs: number, withBody: boolean): number {
    const at = this.#next
    this.#next = at + 1 === SUCCESSES ? 0 : at + 1
    if (this.size < SUCCESSES) this.size++
    this.#ids[at] = facts.id
    this.#epochs[at] = facts.epoch
    this.#tables[at] = facts.table
    this.#kinds[at] = facts.kind
    this.#sequences[at] = facts.sequence
    this.#at[at] = atMs
    this.#took[at] = tookMs
    this.#attempts[at] = facts.attempts
    this.#statuses[at] = status
    const before = this.#bodies[at]?.byteLength ?? 0
    if (!withBody) {
      if (before > 0) this.#bodies[at] = undefined
      return -before
    }
    this.#bodies[at] = new Uint8Array(facts.body)
    this.#keys[at] = facts.keys
    this.#lsns[at] = facts.commitLsn
    this.#ordinals[at] = facts.ordinal
    return facts.body.byteLength - before
  }

  /** Oldest first; it is empty then. */
  take(endpointId: string): ReadonlyArray<HeldAttempt> {
    const taken: Array<HeldAttempt> = []
    for (let i = 0; i < this.size; i++) {
      const at = (this.#next - this.size + i + SUCCESSES) % SUCCESSES
      const body = this.#bodies[at]
      taken.push({
        endpointId, id: this.#ids[at]!, epoch: this.#epochs[at]!, table: this.#tables[at]!, kind: this.#kinds[at]!,
        sequence: this.#sequences[at]!, atMs: this.#at[at]!, tookMs: this.#took[at]!, attempts: this.#attempts[at]!,
        status: this.#statuses[at]!, reason: "", answerStart: undefined, body,
        keys: body === undefined ? NO_KEYS : this.#keys[at]!,
        commitLsn: body === undefined ? 0 : this.#lsns[at]!, ordinal: body === undefined ? 0 : this.#ordinals[at]!
      })
    }
    this.size = 0
    this.#bodies.length = 0
    return taken
  }
}

interface EndpointAttempts {
  readonly endpointId: string
  readonly ring: Ring
  failures: Array<HeldAttempt>
  /** Failures that were counted instead. */
  more: number
}

export interface Taken {
  readonly successes: ReadonlyArray<HeldAttempt>
  readonly failures: ReadonlyArray<HeldAttempt>
  readonly more: ReadonlyArray<{ readonly endpointId: string; readonly more: number }>
}

const bytesOf = ({ answerStart, body }: HeldAttempt): number => (body?.byteLength ?? 0) + (answerStart?.length ?? 0)

export class AttemptBuffer {
  readonly #withBodies: boolean
  /** In the order of their first attempt since they were taken: who waits longest is taken first. */
  readonly #endpoints = new Map<string, EndpointAttempts>()
  readonly #spare: Array<EndpointAttempts["ring"]> = []
  #last: EndpointAttempts | undefined
  #failures = 0
  #bytes = 0

  constructor(withBodies: boolean) {
    this.#withBodies = withBodies
  }

  get isEmpty(): boolean {
    return this.#endpoints.size === 0
  }

  attempted(facts: AttemptFacts, result: AttemptResult, atMs: number, tookMs: number): void {
    const own = this.#of(facts.endpointId)
    const keepBody = this.#withBodies && facts.body.byteLength <= MAX_BODY_BYTES
      && this.#bytes + facts.body.byteLength <= MAX_HELD_BYTES
    if (result._tag === "Accepted") {
      this.#bytes += own.ring.add(facts, result.status, atMs, tookMs, keepBody)
    } else {
      this.#fail(own, {
        endpointId: facts.endpointId, id: facts.id, sequence: facts.sequence, epoch: facts.epoch, table: facts.table,
        kind: facts.kind, attempts: facts.attempts, commitLsn: 0, ordinal: 0, keys: NO_KEYS, tookMs, atMs,
        status: result._tag === "Refused" ? result.status : undefined,
        reason: RetryPolicy.describe(result),
        answerStart: result._tag === "Refused" ? result.bodyStart : undefined,
        body: keepBody ? new Uint8Array(facts.body) : undefined
      })
    }
  }

  /** At most `limit` successes and all failures: whose attempts are oldest come first. */
  take(limit: number): Taken {
    const successes: Array<HeldAttempt> = []
    const failures: Array<HeldAttempt> = []
    const more: Array<{ endpointId: string; more: number }> = []
    this.#last = undefined
    for (const own of this.#endpoints.values()) {
      failures.push(...own.failures)
      if (own.more > 0) more.push({ endpointId: own.endpointId, more: own.more })
      own.failures = []
      own.more = 0
      if (successes.length + own.ring.size > limit) continue
      successes.push(...own.ring.take(own.endpointId))
      this.#endpoints.delete(own.endpointId)
      if (this.#spare.length < SUCCESSES) this.#spare.push(own.ring)
    }
    for (const list of [successes, failures]) for (const each of list) this.#bytes -= bytesOf(each)
    this.#failures = 0
    return { successes, failures, more }
  }

  #of(endpointId: string): EndpointAttempts {
    if (this.#last !== undefined && this.#last.endpointId === endpointId) return this.#last
    let own = this.#endpoints.get(endpointId)
    if (own === undefined) {
      own = { endpointId, ring: this.#spare.pop() ?? new Ring(), failures: [], more: 0 }
      this.#endpoints.set(endpointId, own)
    }
    return this.#last = own
  }

  #isFull(own: EndpointAttempts, failure: HeldAttempt): boolean {
    return own.failures.length >= MAX_FAILURES_OF_ENDPOINT || this.#failures >= MAX_FAILURES
      || this.#bytes + bytesOf(failure) > MAX_HELD_BYTES
  }

  #hold(own: EndpointAttempts, failure: HeldAttempt): void {
    own.failures.push(failure)
    this.#failures++
    this.#bytes += bytesOf(failure)
  }

  /** The oldest of its own endpoint gives way: one that fails often does not push out what another's log needs. */
  #fail(own: EndpointAttempts, failure: HeldAttempt): void {
    if (this.#isFull(own, failure)) {
      own.more++
      const oldest = own.failures.shift()
      if (oldest === undefined) return
      this.#failures--
      this.#bytes -= bytesOf(oldest)
      if (this.#isFull(own, failure)) {
        own.more++
        return
      }
    }
    this.#hold(own, failure)
  }
}
