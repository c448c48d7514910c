import { momentText } from '../../policy/opening-hours.js'
import { DEFAULT_BURST_BYTES } from '../../policy/traffic-limits.js'
import type { PolicyQuota, PolicyRate, QuotaDirection, QuotaPeriod } from '../../policy-fields.js'
import type { Clock, TokenUsage } from '../../ports.js'
import { RateMeter } from './rate-meter.js'
import { type BucketRate, TokenBucket } from './token-bucket.js'
import { type Bytes, type Direction, Usage } from './usage.js'
import { utcPeriods } from './utc-periods.js'

/** Part of a quota from which on it is told that it will soon be used up. */
export const QUOTA_WARNING = 0.8

/** A quota with its direction. */
export interface WholeQuota {
  readonly bytes: number
  readonly period: QuotaPeriod
  readonly direction: QuotaDirection
}

export interface QuotaState {
  readonly quota: WholeQuota
  /** Bytes that count. */
  readonly used: number
  readonly usedUp: boolean
  /** Unix milliseconds; `undefined`: never by itself. */
  readonly resetsAt: number | undefined
}

export interface TrafficLimits {
  readonly rate?: PolicyRate | undefined
  readonly quota?: PolicyQuota | undefined
}

export interface TrafficEvents {
  /** Counters are no longer as they were written last. */
  counted(): void
  /** Bytes have to wait for the rate. */
  delayed(direction: Direction, bytes: number): void
  /** One was over the rate or the quota. */
  droppedDatagram(): void
  /** More than {@link QUOTA_WARNING} of the quota is used now. */
  quotaWarning(state: QuotaState): void
  /** Nothing is left of the quota now. */
  quotaUsedUp(state: QuotaState): void
}

/** A stream that waits for a quota. */
export interface QuotaWaiter {
  /** There may be something again. */
  readonly retry: () => void
  /** There is nothing any more, with the reason. */
  readonly refuse: (why: string) => void
}

/** What goes through a token: how fast it may, how much it may, and how much it was. */
export class TokenTraffic {
  readonly #clock: Clock
  /** Made when something is counted: most tokens of a large table rest. */
  #usage: Usage | undefined
  #meters: Readonly<Record<Direction, RateMeter>> | undefined
  #rate: PolicyRate | undefined
  #quota: PolicyQuota | undefined
  readonly #buckets: { up?: TokenBucket | undefined; down?: TokenBucket | undefined } = {}
  /** Promised to streams, which may not use all of it. */
  readonly #reserved: Bytes = { up: 0, down: 0 }
  #waiters: Set<QuotaWaiter> | undefined
  /** As it was told of last. */
  #told: 'nothing' | 'warning' | 'used-up' = 'nothing'
  readonly #throttled: Bytes = { up: 0, down: 0 }
  #droppedDatagrams = 0
  #events: TrafficEvents | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Called once: who hears of it from now on. */
  tell(events: TrafficEvents): void {
    this.#events = events
  }

  /** In place of those there are; holds for streams that run as well. */
  limit({ rate, quota }: TrafficLimits): void {
    this.#rate = rate
    this.#quota = quota
    for (const direction of ['up', 'down'] as const) this.#setBucket(direction)
    this.#review()
  }

  /** Goes on with what was counted before. */
  restore(usage: TokenUsage): void {
    this.#usage = new Usage(this.#clock.wallTime(), usage)
    this.#review()
  }

  /** Begins to count anew. */
  reset(): void {
    this.usage.reset(this.#clock.wallTime())
    this.#review()
    this.#events?.counted()
  }

  get usage(): Usage {
    this.#usage ??= new Usage(this.#clock.wallTime())
    return this.#usage
  }

  get hasQuota(): boolean {
    return this.#quota !== undefined
  }

  get waits(): boolean {
    return this.#waiters !== undefined && this.#waiters.size > 0
  }

  /** Bytes that had to wait for the rate. */
  get throttled(): Readonly<Bytes> {
    return this.#throttled
  }

  /** Over the rate or the quota. */
  get droppedDatagrams(): number {
    return this.#droppedDatagrams
  }

  /** Bytes a second, as of the last few seconds. */
  bytesPerSecond(direction: Direction): number {
    return this.#meters?.[direction].bytesPerSecond ?? 0
  }

  /** Whether anything may have to wait. */
  limits(direction: Direction): boolean {
    return (
      this.#buckets[direction] !== undefined || this.#streamRate(direction) !== undefined || this.#counts(direction)
    )
  }

  /** That all streams of the token share. */
  bucket(direction: Direction): TokenBucket | undefined {
    return this.#buckets[direction]
  }

  /** What each stream may have. */
  streamRate(direction: Direction): BucketRate | undefined {
    const rate = this.#streamRate(direction)
    return rate === undefined ? undefined : { rate, burst: this.#burst }
  }

  /** Sets some of the quota aside for who is about to use it. @returns how much of `bytes` */
  reserve(direction: Direction, bytes: number): number {
    const state = this.#counts(direction) ? this.quotaState() : undefined
    const left = state === undefined ? bytes : state.quota.bytes - state.used - this.#allReserved(state.quota)
    const given = Math.max(0, Math.min(bytes, left))
    // a quota may come before they are used
    this.#reserved[direction] += given
    return given
  }

  /** What was reserved is used, or not wanted any more. */
  giveBack(direction: Direction, bytes: number): void {
    this.#reserved[direction] -= bytes
    if (bytes > 0) this.#retryWaiters()
  }

  /** Bytes that go on now. @param reserved of them */
  passed(direction: Direction, bytes: number, reserved: number): void {
    this.#reserved[direction] -= reserved
    this.usage.add(direction, bytes, this.#clock.wallTime())
    this.#meters ??= { up: new RateMeter(this.#clock), down: new RateMeter(this.#clock) }
    this.#meters[direction].add(bytes)
    this.#events?.counted()
    if (this.#counts(direction)) this.#review()
  }

  /** Bytes have to wait for the rate. */
  delayed(direction: Direction, bytes: number): void {
    this.#throttled[direction] += bytes
    this.#events?.delayed(direction, bytes)
  }

  droppedDatagram(): void {
    this.#droppedDatagrams += 1
    this.#events?.droppedDatagram()
  }

  /** Waits for the quota, until leave(). */
  wait(waiter: QuotaWaiter): void {
    this.#waiters ??= new Set()
    this.#waiters.add(waiter)
    // who comes when all is used up is told later, as those are who wait by then
    if (this.usedUp) this.#clock.after(0, () => this.refuseWaiters())
  }

  leave(waiter: QuotaWaiter): void {
    this.#waiters?.delete(waiter)
  }

  /** Ends those who wait for a quota of which nothing is left. */
  refuseWaiters(): void {
    const why = this.refusal()
    if (why === undefined) return this.#retryWaiters()
    const waiters = [...(this.#waiters ?? [])]
    this.#waiters = undefined
    for (const waiter of waiters) waiter.refuse(why)
  }

  /** @returns `undefined` without a quota */
  quotaState(): QuotaState | undefined {
    if (this.#quota === undefined) return undefined
    const { bytes, period, direction = 'both' } = this.#quota
    const time = this.#clock.wallTime()
    const { up, down } = this.#usage?.of(period, time) ?? { up: 0, down: 0 }
    const used = direction === 'both' ? up + down : { up, down }[direction]
    const resetsAt = period === 'total' ? undefined : utcPeriods(time)[period === 'day' ? 'dayEnds' : 'monthEnds']
    return { quota: { bytes, period, direction }, used, usedUp: used >= bytes, resetsAt }
  }

  get usedUp(): boolean {
    return this.quotaState()?.usedUp === true
  }

  /** Why nothing more may go through it; `undefined` where something may. */
  refusal(): string | undefined {
    const state = this.quotaState()
    if (state?.usedUp !== true) return undefined
    const { resetsAt } = state
    return resetsAt === undefined ? 'quota used up' : `quota used up until ${momentText(resetsAt)}`
  }

  get #burst(): number {
    return this.#rate?.burst ?? DEFAULT_BURST_BYTES
  }

  #streamRate(direction: Direction): number | undefined {
    return direction === 'up' ? this.#rate?.streamUp : this.#rate?.streamDown
  }

  #counts(direction: Direction): boolean {
    const counted = this.#quota?.direction ?? 'both'
    return this.#quota !== undefined && (counted === 'both' || counted === direction)
  }

  #allReserved({ direction }: WholeQuota): number {
    const { up, down } = this.#reserved
    return direction === 'both' ? up + down : this.#reserved[direction]
  }

  #setBucket(direction: Direction): void {
    const rate = this.#rate?.[direction]
    const bucket = this.#buckets[direction]
    if (rate === undefined) {
      this.#buckets[direction] = undefined
      bucket?.open()
    } else if (bucket === undefined)
      this.#buckets[direction] = new TokenBucket(this.#clock, { rate, burst: this.#burst })
    else bucket.set({ rate, burst: this.#burst })
  }

  /** Tells of what has become of the quota, once each time it gets there. */
  #review(): void {
    const state = this.quotaState()
    const part = state === undefined ? 0 : state.used / state.quota.bytes
    const before = this.#told
    this.#told = state?.usedUp === true ? 'used-up' : part >= QUOTA_WARNING ? 'warning' : 'nothing'
    if (state !== undefined && this.#told === 'warning' && before === 'nothing') this.#events?.quotaWarning(state)
    if (state !== undefined && this.#told === 'used-up' && before !== 'used-up') this.#events?.quotaUsedUp(state)
    if (this.#told !== 'used-up') this.#retryWaiters()
  }

  #retryWaiters(): void {
    if (this.#waiters === undefined || this.#waiters.size === 0) return
    const waiters = [...this.#waiters]
    this.#waiters = undefined
    for (const waiter of waiters) waiter.retry()
  }
}
