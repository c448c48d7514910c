import type { Clock, MessageTransport, Timer } from '../../ports.js'
import { BASE_LINK_BUFFER_BYTES, BASE_READ_PAUSE_MS, MIB } from '../../protocol/limits.js'

/** Read after a pause before the next one, so that a stalled reader slows others but stops none. */
export const BASE_READ_ON_BYTES = 4 * MIB
/** What one session may hold in spite of the pauses; the channel that then still adds to it without moving is at fault. */
export const MAX_LINK_HELD_BYTES = 2 * BASE_LINK_BUFFER_BYTES
/** While a reader is away no more than this part of what may still be held is read after a pause: room for minutes. */
const SPARING_PART = 1 / 16

/**
 * Stops reading a transport while channels without credit hold too much, for at most {@link BASE_READ_PAUSE_MS} at a time:
 * some deployed servers freeze for everybody when one peer stops reading (docs/protocol.md B.2). Between two pauses
 * {@link BASE_READ_ON_BYTES} are taken: the other channels of the session live on what is read then.
 */
export class ReadGate {
  readonly #transport: Pick<MessageTransport, 'pause' | 'resume'>
  readonly #clock: Clock
  readonly #keepalive: Pick<MessageTransport, 'pause' | 'resume'>
  #timer: Timer | undefined
  #crowded = 0
  readonly #behind = new Set<object>()
  #bytes = 0
  #fullSince: number | undefined
  /** Bytes still taken since the last pause ran out. */
  #allowance = 0
  /** What came since the last pause, or some of it, is for a reader that is away. */
  #sparing = false

  constructor(
    transport: Pick<MessageTransport, 'pause' | 'resume'>,
    clock: Clock,
    keepalive: Pick<MessageTransport, 'pause' | 'resume'>,
  ) {
    this.#transport = transport
    this.#clock = clock
    this.#keepalive = keepalive
  }

  get bufferedBytes(): number {
    return this.#bytes
  }

  /** Since when the session has held more than all its channels together may. */
  get fullSince(): number | undefined {
    return this.#fullSince
  }

  get paused(): boolean {
    return this.#timer !== undefined
  }

  /** `bytes` more are held (or fewer, when negative) by a channel without credit. */
  hold(bytes: number): void {
    this.#bytes += bytes
    if (bytes > 0) this.#allowance = Math.max(0, this.#allowance - bytes)
    const full = this.#bytes > BASE_LINK_BUFFER_BYTES
    this.#fullSince = full ? (this.#fullSince ?? this.#clock.now()) : undefined
    if (bytes > 0 && full) this.pause()
    else this.#reconsider()
  }

  /** A channel went over its own limit. */
  enter(): void {
    this.#crowded += 1
  }

  /** It is below its limit again, or gone. */
  leave(): void {
    this.#crowded -= 1
    this.#reconsider()
  }

  /** More arrived for a channel that is over its limit. */
  pause(): void {
    if (this.#timer !== undefined || this.#allowance > 0) return
    this.#transport.pause()
    this.#keepalive.pause()
    this.#limitPause()
  }

  /** More arrived for a reader that is away and may come back: what may still be held has to do until then. */
  spare(): void {
    this.#sparing = true
  }

  /**
   * Too much waits for `who` to work on what came before. That passes by itself: nothing more is read until `caughtUp()`,
   * not even what was allowed. Told again whenever more comes.
   */
  behind(who: object): void {
    this.#behind.add(who)
    this.#allowance = 0
    this.pause()
  }

  /** After `behind()`; idempotent. */
  caughtUp(who: object): void {
    if (this.#behind.delete(who)) this.#reconsider()
  }

  /** The session is over: what is left to read is the peer's close frame. */
  stop(): void {
    if (this.#timer !== undefined) this.#resume()
  }

  #limitPause(): void {
    this.#timer = this.#clock.after(BASE_READ_PAUSE_MS, () => {
      if (this.#behind.size > 0) return this.#limitPause()
      this.#allowance = this.#sparing ? this.#sparingBytes : BASE_READ_ON_BYTES
      this.#sparing = false
      this.#resume()
    })
  }

  get #sparingBytes(): number {
    return Math.max(0, Math.min(BASE_READ_ON_BYTES, (MAX_LINK_HELD_BYTES - this.#bytes) * SPARING_PART))
  }

  #reconsider(): void {
    if (this.#timer === undefined || this.#crowded > 0 || this.#behind.size > 0) return
    if (this.#bytes <= BASE_LINK_BUFFER_BYTES) this.#resume()
  }

  #resume(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#keepalive.resume()
    this.#transport.resume()
  }
}
