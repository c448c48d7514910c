import type { UsageGrowth } from '../../handover.js'
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

/** One hears of all tokens, each by its id. */
export interface TrafficEvents {
  /** Counters are no longer as they were written last. @param bytes that passed, if that is why */
  counted(id: string, direction?: Direction, bytes?: number): void
  /** Bytes of a stream have to wait, for one rate or several. */
  delayed(direction: Direction, bytes: number): void
  /** A datagram was over a rate or a quota, or over several. */
  droppedDatagram(): void
  /** More than {@link QUOTA_WARNING} of the quota is used now. */
  quotaWarning(id: string, state: QuotaState): void
  /** Nothing is left of the quota now. */
  quotaUsedUp(id: string, state: QuotaState): void
}

/** A stream that waits for a quota. */
export interface QuotaWaiter {
  /** There may be something again: it asks anew. */
  readonly retry: () => void
  /** There is nothing any more, with the reason. */
  readonly refuse: (why: string) => void
}

/** A stream with a rate of its own. */
export interface RateFollower {
  /** The rate of each stream is another one, or there is none. */
  readonly rateChanged: () => void
}

/** Of a token with limits. */
interface Limits {
  rate: PolicyRate | undefined
  quota: PolicyQuota | undefined
  /** For its rates: what all of its streams share. */
  readonly buckets: Partial<Record<Direction, TokenBucket>>
  /** Promised to streams, which may not use all of it. */
  readonly reserved: Bytes
  waiters: Set<QuotaWaiter>
  readonly followers: Set<RateFollower>
  /** What was told of the quota last, in the period that ends then. */
  told: Level
  toldUntil: number | undefined
  /** Bytes that had to wait for the rate. */
  readonly throttled: Bytes
  droppedDatagrams: number
}

type Level = 'nothing' | 'warning' | 'used-up'

const NOTHING: Readonly<Bytes> = { up: 0, down: 0 }

/** What goes through a token: how fast it may, how much it may, and how much it was. */
export class TokenTraffic {
  readonly #clock: Clock
  readonly #id: string
  readonly #since: number
  /** Made when something is counted: most tokens of a large table rest. */
  #usage: Usage | undefined
  #meters: Readonly<Record<Direction, RateMeter>> | undefined
  /** Made when there are limits, or streams that other tokens limit. */
  #limits: Limits | undefined
  #events: TrafficEvents | undefined

  /**
   * @param id of the token, named in events
   * @param since when it was made, in Unix milliseconds
   */
  constructor(clock: Clock, id: string, since: number) {
    this.#clock = clock
    this.#id = id
    this.#since = since
  }

  /** Called once: who hears of it from now on. */
  tell(events: TrafficEvents): void {
    this.#events = events
  }

  /** In place of those there are; holds for streams that run as well. */
  limit({ rate, quota }: TrafficLimits): void {
    if (rate === undefined && quota === undefined && this.#limits === undefined) return
    const limits = this.#ensureLimits()
    limits.rate = rate
    limits.quota = quota
    for (const direction of ['up', 'down'] as const) this.#setBucket(limits, direction)
    for (const follower of [...limits.followers]) follower.rateChanged()
    this.#review()
    // a quota has what was used written sooner
    if (this.#usage !== undefined) this.#events?.counted(this.#id)
  }

  /** Goes on with what was counted before. */
  restore(usage: TokenUsage): void {
    this.#usage = new Usage(this.#clock.wallTime(), usage)
    this.#review()
  }

  /** Adds what another process counted. */
  grow(growth: UsageGrowth[string]): void {
    this.usage.grow(growth)
    this.#events?.counted(this.#id)
    this.#review()
  }

  /** Begins to count anew. */
  reset(): void {
    this.usage.reset(this.#clock.wallTime())
    this.#review()
    this.#events?.counted(this.#id)
  }

  get usage(): Usage {
    this.#usage ??= new Usage(this.#since)
    return this.#usage
  }

  get hasQuota(): boolean {
    return this.#limits?.quota !== undefined
  }

  /** Bytes that had to wait for the rate. */
  get throttled(): Readonly<Bytes> {
    return this.#limits?.throttled ?? NOTHING
  }

  /** Over the rate or the quota. */
  get droppedDatagrams(): number {
    return this.#limits?.droppedDatagrams ?? 0
  }

  /** Bytes a second, as of the last few seconds. */
  bytesPerSecond(direction: Direction): number {
    return this.#meters?.[direction].bytesPerSecond ?? 0
  }

  /** Whether anything may have to wait. */
  limits(direction: Direction): boolean {
    if (this.#limits === undefined) return false
    const { rate, buckets } = this.#limits
    const ofStreams = direction === 'up' ? rate?.streamUp : rate?.streamDown
    return buckets[direction] !== undefined || ofStreams !== undefined || this.#counts(direction)
  }

  /** Whether a rate may have something wait, and not a quota alone. */
  hasRate(direction: Direction): boolean {
    return this.#limits?.buckets[direction] !== undefined || this.streamRate(direction) !== undefined
  }

  /** Hears of changes of the rate of each stream, until unfollow(). */
  follow(follower: RateFollower): void {
    this.#ensureLimits().followers.add(follower)
  }

  unfollow(follower: RateFollower): void {
    this.#limits?.followers.delete(follower)
  }

  /** That all streams of the token share. */
  bucket(direction: Direction): TokenBucket | undefined {
    return this.#limits?.buckets[direction]
  }

  /** What each stream may have. */
  streamRate(direction: Direction): BucketRate | undefined {
    const limits = this.#limits
    const rate = direction === 'up' ? limits?.rate?.streamUp : limits?.rate?.streamDown
    return rate === undefined ? undefined : { rate, burst: limits?.rate?.burst ?? DEFAULT_BURST_BYTES }
  }

  /** Sets some of the quota aside for who is about to use it. @returns how much of `bytes` */
  reserve(direction: Direction, bytes: number): number {
    const { reserved } = this.#ensureLimits()
    const state = this.#counts(direction) ? this.quotaState() : undefined
    const all = state?.quota.direction === 'both' ? reserved.up + reserved.down : reserved[direction]
    const left = state === undefined ? bytes : state.quota.bytes - state.used - all
    const given = Math.max(0, Math.min(bytes, left))
    // a quota may come before they are used
    reserved[direction] += given
    return given
  }

  /** Whether so much is left of the quota, promised or not. */
  fits(direction: Direction, bytes: number): boolean {
    const state = this.#counts(direction) ? this.quotaState() : undefined
    return state === undefined || state.used + bytes <= state.quota.bytes
  }

  /** What was reserved is not wanted any more. */
  giveBack(direction: Direction, bytes: number): void {
    this.#ensureLimits().reserved[direction] -= bytes
    if (bytes > 0) this.#retryWaiters()
  }

  /** Bytes that go on now. @param reserved of them */
  passed(direction: Direction, bytes: number, reserved: number): void {
    if (reserved > 0) this.#ensureLimits().reserved[direction] -= reserved
    this.usage.add(direction, bytes, this.#clock.wallTime())
    this.#meters ??= { up: new RateMeter(this.#clock), down: new RateMeter(this.#clock) }
    this.#meters[direction].add(bytes)
    this.#events?.counted(this.#id, direction, bytes)
    if (this.#counts(direction)) this.#review()
  }

  /** Bytes have to wait for its rate. @param told another token has told of them */
  delayed(direction: Direction, bytes: number, told: boolean): void {
    this.#ensureLimits().throttled[direction] += bytes
    if (!told) this.#events?.delayed(direction, bytes)
  }

  /** A datagram was over its rate or quota. @param told as of delayed() */
  droppedDatagram(told: boolean): void {
    this.#ensureLimits().droppedDatagrams += 1
    if (!told) this.#events?.droppedDatagram()
  }

  /** Waits for the quota, until leave(). */
  wait(waiter: QuotaWaiter): void {
    this.#ensureLimits().waiters.add(waiter)
    // a stream that comes when all is used up is told later, as those that wait by then
    if (this.usedUp) this.#clock.after(0, () => this.refuseWaiters())
  }

  leave(waiter: QuotaWaiter): void {
    this.#limits?.waiters.delete(waiter)
  }

  /** Ends those who wait for a quota of which nothing is left. */
  refuseWaiters(): void {
    const why = this.refusal()
    if (why === undefined) return this.#retryWaiters()
    for (const waiter of this.#takeWaiters()) waiter.refuse(why)
  }

  /** @returns `undefined` without a quota */
  quotaState(): QuotaState | undefined {
    const quota = this.#limits?.quota
    if (quota === undefined) return undefined
    const { bytes, period, direction = 'both' } = quota
    const time = this.#clock.wallTime()
    const { up, down } = this.#usage?.of(period, time) ?? NOTHING
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

  #ensureLimits(): Limits {
    this.#limits ??= {
      ...{ rate: undefined, quota: undefined, buckets: {}, waiters: new Set(), followers: new Set() },
      ...{ told: 'nothing', toldUntil: undefined },
      ...{ reserved: { up: 0, down: 0 }, throttled: { up: 0, down: 0 }, droppedDatagrams: 0 },
    }
    return this.#limits
  }

  #counts(direction: Direction): boolean {
    const quota = this.#limits?.quota
    if (quota === undefined) return false
    const { direction: counted = 'both' } = quota
    return counted === 'both' || counted === direction
  }

  #setBucket({ rate, buckets }: Limits, direction: Direction): void {
    const bytes = rate?.[direction]
    const bucket = buckets[direction]
    const burst = rate?.burst ?? DEFAULT_BURST_BYTES
    if (bytes === undefined) {
      delete buckets[direction]
      bucket?.open()
    } else if (bucket === undefined) buckets[direction] = new TokenBucket(this.#clock, { rate: bytes, burst })
    else bucket.set({ rate: bytes, burst })
  }

  /** Tells of what has become of the quota, once each time it gets there. */
  #review(): void {
    const limits = this.#limits
    if (limits === undefined) return
    const state = this.quotaState()
    // each period is told of anew
    const before = limits.toldUntil === state?.resetsAt ? limits.told : 'nothing'
    limits.told = levelOf(state)
    limits.toldUntil = state?.resetsAt
    if (state !== undefined && limits.told === 'warning' && before === 'nothing')
      this.#events?.quotaWarning(this.#id, state)
    if (state !== undefined && limits.told === 'used-up' && before !== 'used-up')
      this.#events?.quotaUsedUp(this.#id, state)
    if (limits.told !== 'used-up') this.#retryWaiters()
  }

  #retryWaiters(): void {
    for (const waiter of this.#takeWaiters()) waiter.retry()
  }

  #takeWaiters(): Iterable<QuotaWaiter> {
    const limits = this.#limits
    if (limits === undefined || limits.waiters.size === 0) return []
    const { waiters } = limits
    limits.waiters = new Set()
    return waiters
  }
}

function levelOf(state: QuotaState | undefined): Level {
  if (state === undefined) return 'nothing'
  if (state.usedUp) return 'used-up'
  return state.used >= state.quota.bytes * QUOTA_WARNING ? 'warning' : 'nothing'
}
