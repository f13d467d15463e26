/** The gate of one endpoint: its circuit breaker and its rate. See `Gate` for the contract. */
import { Breaker, type BreakerPolicy, type BreakerState } from "../../../domain/Breaker.ts"
import type { AttemptResult } from "../../../domain/Delivery.ts"
import { RateLimit } from "../../../domain/RateLimit.ts"
import { endsEndpoint, healthOf, MAX_RETRY_AFTER_MS, pauseOf } from "../../../domain/RetryPolicy.ts"
import type { Endpoint } from "../../../domain/Subscription.ts"
import type { Gate } from "./Gate.ts"

export interface GateOptions {
  readonly settings: BreakerPolicy
  /** 0 … 1, for jitter. */
  readonly random: () => number
  readonly endpoint: Endpoint
}

const limitOf = ({ rate }: Endpoint): RateLimit | undefined => rate === undefined ? undefined : new RateLimit(rate)

export class GateLive implements Gate {
  private readonly breaker: Breaker
  private readonly random: () => number
  private rate: number | undefined
  private limiter: RateLimit | undefined

  constructor({ endpoint, random, settings }: GateOptions) {
    this.breaker = new Breaker(settings)
    this.random = random
    this.rate = endpoint.rate
    this.limiter = limitOf(endpoint)
  }

  get state(): BreakerState {
    return this.breaker.state
  }

  get wakeAtMs(): number {
    return this.breaker.wakeAtMs
  }

  get isWide(): boolean {
    return this.breaker.state === "closed" && !this.breaker.doubtful
  }

  limit(concurrency: number, nowMs: number): number {
    const { breaker } = this
    if (this.isWide) return concurrency
    return breaker.state !== "closed" && breaker.look(nowMs) === "open" ? 0 : 1
  }

  waitMs(nowMs: number): number {
    const heldMs = this.breaker.waitMs(nowMs)
    return this.limiter === undefined ? heldMs : Math.max(heldMs, this.limiter.waitMs(nowMs))
  }

  started(nowMs: number): void {
    this.breaker.started(nowMs)
    this.limiter?.started(nowMs)
  }

  /** 410: nothing more is sent while the endpoint is being disabled, a day at most. */
  answered(result: AttemptResult, nowMs: number): boolean {
    if (endsEndpoint(result)) return this.breaker.pauseUntil(nowMs + MAX_RETRY_AFTER_MS)
    return this.breaker.answered(healthOf(result), pauseOf(result), nowMs, this.random)
  }

  /** The bucket stays as full as it is, unless the rate is another: saving an endpoint again allows no burst. */
  configure(endpoint: Endpoint): void {
    this.breaker.reset()
    if (endpoint.rate === this.rate) return
    this.rate = endpoint.rate
    this.limiter = limitOf(endpoint)
  }
}

export const make = (options: GateOptions): Gate => new GateLive(options)
