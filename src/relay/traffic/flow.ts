import type { Clock } from '../../ports.js'
import { Asker, type BucketRate, TokenBucket } from './token-bucket.js'
import type { QuotaWaiter, RateFollower, TokenTraffic } from './token-traffic.js'
import type { Direction } from './usage.js'

export interface FlowEvents {
  /** Something may pass that had to wait. */
  readonly ready: () => void
  /** Nothing may pass any more: a quota is used up. */
  readonly refused: (why: string) => void
}

export interface FlowOptions {
  readonly clock: Clock
  readonly direction: Direction
  /** Whose limits hold, the closest first. */
  readonly tokens: readonly TokenTraffic[]
  readonly events: FlowEvents
}

/** A bucket, and this flow's place in it. */
interface Stage {
  readonly bucket: TokenBucket
  readonly asker: Asker
}

/**
 * One direction of one stream, as far as rates and quotas of tokens let it through. Bytes are granted in pieces, by one bucket after the
 * other; what a bucket has granted is kept while the next one is waited for.
 */
export class Flow implements QuotaWaiter, RateFollower {
  readonly #options: FlowOptions
  /** Granted by all, reserved and not taken yet. */
  #ready = 0
  /** Bytes of the piece that is asked for. */
  #piece = 0
  #stages: readonly Stage[] = []
  /** Where the piece is. */
  #at = 0
  #state: 'idle' | 'asking' | 'out-of-quota' | 'closed' = 'idle'
  /** For the rate of a stream. */
  #own: TokenBucket | undefined

  constructor(options: FlowOptions) {
    this.#options = options
  }

  /** How many of `bytes` may pass now: 0 until `ready()` is called. Changes nothing that take() does not. */
  available(bytes: number): number {
    if (this.#ready > 0) return Math.min(this.#ready, bytes)
    if (this.#state !== 'idle' || bytes === 0) return 0
    if (!this.limited) return bytes
    return this.#begin(bytes, false) ? Math.min(this.#ready, bytes) : 0
  }

  /** Something waits for a rate, or for a quota that is promised to others. */
  get waits(): boolean {
    return this.#state === 'asking' || this.#state === 'out-of-quota'
  }

  /** Whether the quotas have so much left, which may be promised to others. */
  fits(bytes: number): boolean {
    const { tokens, direction } = this.#options
    return tokens.every((token) => token.fits(direction, bytes))
  }

  /** Whether all of `bytes` may pass now, which can't be divided; if not, `ready()` is called where they fit. */
  admits(bytes: number): boolean {
    if (this.#ready >= bytes) return true
    if (this.#state !== 'idle') return false
    return !this.limited || this.#begin(bytes - this.#ready, true)
  }

  /** `bytes` pass now, which are available. */
  take(bytes: number): void {
    const { tokens, direction } = this.#options
    const reserved = Math.min(bytes, this.#ready)
    this.#ready -= reserved
    for (const token of tokens) token.passed(direction, bytes, reserved)
  }

  /** Nothing passes any more. Idempotent. */
  close(): void {
    if (this.#state === 'closed') return
    const { tokens, direction } = this.#options
    const unused = this.#piece + this.#ready
    const granted = this.#stages.slice(0, this.#state === 'asking' ? this.#at : undefined)
    const [asked] = this.#state === 'asking' ? this.#stages.slice(this.#at, this.#at + 1) : []
    this.#state = 'closed'
    this.#piece = 0
    this.#ready = 0
    asked?.bucket.leave(asked.asker)
    for (const token of tokens) {
      token.leave(this)
      token.unfollow(this)
    }
    if (unused === 0) return
    for (const { bucket } of granted) bucket.giveBack(unused)
    for (const token of tokens) token.giveBack(direction, unused)
  }

  /** There may be something of a quota again. */
  retry(): void {
    if (this.#state !== 'out-of-quota') return
    this.#state = 'idle'
    this.#options.events.ready()
  }

  /** Nothing is left of a quota. */
  refuse(why: string): void {
    if (this.#state === 'out-of-quota') this.#options.events.refused(why)
  }

  /** A rate of the stream itself was changed or cleared. */
  rateChanged(): void {
    // another one that heard of it may have ended this one
    if (this.#state === 'closed') return
    const own = this.#own
    this.#setOwn(this.#rates)
    if (this.#own === undefined) own?.open()
  }

  /** Whether anything may have to wait. */
  get limited(): boolean {
    const { tokens, direction } = this.#options
    return tokens.some((token) => token.limits(direction))
  }

  /** @returns whether something is ready */
  #begin(bytes: number, whole: boolean): boolean {
    const { tokens, direction } = this.#options
    this.#stages = this.#stagesNow()
    const piece = whole ? bytes : Math.min(bytes, ...this.#stages.map(({ bucket }) => bucket.pieceBytes))
    this.#piece = this.#reserve(piece, whole)
    if (this.#piece === 0) return false
    this.#at = 0
    this.#state = 'asking'
    if (this.#advance()) return true
    for (const [index, token] of tokens.filter((one) => one.hasRate(direction)).entries())
      token.delayed(direction, this.#piece, index > 0)
    return false
  }

  /** Asks the buckets that have not granted the piece. @returns whether all have */
  #advance(): boolean {
    for (; this.#at < this.#stages.length; this.#at += 1) {
      const { bucket, asker } = this.#stages[this.#at] as Stage
      if (!bucket.ask(asker, this.#piece)) return false
    }
    this.#state = 'idle'
    this.#ready += this.#piece
    this.#piece = 0
    return true
  }

  #granted(): void {
    if (this.#state !== 'asking') return
    this.#at += 1
    if (this.#advance()) this.#options.events.ready()
  }

  /** @returns what all quotas have of `bytes` */
  #reserve(bytes: number, whole: boolean): number {
    const { tokens, direction } = this.#options
    let given = bytes
    for (const [index, token] of tokens.entries()) {
      const left = token.reserve(direction, given)
      if (left === given) continue
      const kept = whole ? 0 : left
      for (const before of tokens.slice(0, index)) before.giveBack(direction, given - kept)
      token.giveBack(direction, left - kept)
      given = kept
      if (given > 0) continue
      if (whole && !token.fits(direction, bytes)) return 0
      this.#state = 'out-of-quota'
      token.wait(this)
      return 0
    }
    return given
  }

  #stagesNow(): readonly Stage[] {
    const { tokens, direction } = this.#options
    this.#setOwn(this.#rates)
    const buckets = [this.#own, ...tokens.map((token) => token.bucket(direction))].filter((one) => one !== undefined)
    return buckets.map((bucket) => this.#stages.find((stage) => stage.bucket === bucket) ?? this.#stageOf(bucket))
  }

  #stageOf(bucket: TokenBucket): Stage {
    return { bucket, asker: new Asker(() => this.#granted()) }
  }

  get #rates(): readonly BucketRate[] {
    const { tokens, direction } = this.#options
    return tokens.flatMap((token) => token.streamRate(direction) ?? [])
  }

  #setOwn(rates: readonly BucketRate[]): void {
    const [first, ...others] = rates
    if (first === undefined) {
      this.#own = undefined
      return
    }
    const slowest = others.reduce((least, rate) => (rate.rate < least.rate ? rate : least), first)
    if (this.#own !== undefined) return this.#own.set(slowest)
    this.#own = new TokenBucket(this.#options.clock, slowest)
    for (const token of this.#options.tokens) token.follow(this)
  }
}
