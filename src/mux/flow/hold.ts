import type { Clock, Timer } from '../../ports.js'
import { BASE_CHANNEL_BUFFER_BYTES, BASE_READ_PAUSE_MS, BASE_STALL_TIMEOUT_MS } from '../../protocol/limits.js'
import { MODEST_BYTES, tooMuchHeld } from './held-totals.js'
import { MAX_LINK_HELD_BYTES, type ReadGate } from './read-gate.js'

/**
 * Counts what one channel without credit holds back, in the total of its session. While it is more than a limit, or the
 * total is, the transport is read in steps only; a channel of which nothing moves then is given up.
 */
export class Hold {
  readonly #gate: ReadGate
  readonly #clock: Clock
  readonly #stalled: () => void
  readonly #readerMs: () => number
  readonly #heldBack: () => boolean
  /** Above this the transport is read in steps. */
  limitBytes = BASE_CHANNEL_BUFFER_BYTES
  #bytes = 0
  /** When something was released last, or began to be held. */
  #movedAt = 0
  /** Since when this channel is over its own limit. */
  #crowdedSince: number | undefined
  #watch: Timer | undefined
  #left = false

  /**
   * @param stalled called once when nothing was released for {@link BASE_STALL_TIMEOUT_MS} while over a limit and the reader was there
   * @param heldBack whether a rate keeps from the reader what it would take: standing still is not the reader's fault then, and what moves
   *   does not excuse a channel that stays over its own limit. @default never
   * @param readerMs milliseconds for which the reader has been there, 0 while it is away and may come back. @default it always is
   */
  constructor(
    gate: ReadGate,
    clock: Clock,
    stalled: () => void,
    readerMs: () => number = () => Number.POSITIVE_INFINITY,
    heldBack: () => boolean = () => false,
  ) {
    this.#heldBack = heldBack
    this.#gate = gate
    this.#clock = clock
    this.#stalled = stalled
    this.#readerMs = readerMs
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Something was released, or began to be held, a moment ago. */
  get moves(): boolean {
    return this.#clock.now() - this.#movedAt < BASE_READ_PAUSE_MS
  }

  /** @throws {LinkSocksError} ERR_LIMIT (over {@link MAX_LINK_HELD_BYTES}); what was added is counted all the same */
  add(bytes: number): void {
    if (this.#bytes === 0) this.#movedAt = this.#clock.now()
    this.#bytes += bytes
    this.#gate.hold(bytes)
    if (this.#bytes > MODEST_BYTES) {
      this.#checkTotal()
      if (this.#readerMs() === 0) this.#gate.spare()
      if (!this.#left) this.#watch ??= this.#clock.after(BASE_STALL_TIMEOUT_MS, () => this.#look())
    }
    if (this.#bytes <= this.limitBytes) return
    this.#crowd()
    this.#gate.pause()
  }

  release(bytes: number): void {
    const released = Math.min(bytes, this.#bytes)
    if (released === 0) return
    this.#movedAt = this.#clock.now()
    this.#bytes -= released
    this.#gate.hold(-released)
    if (this.#bytes <= this.limitBytes / 2) this.#uncrowd()
    if (this.#bytes <= MODEST_BYTES) this.#unwatch()
  }

  /** Stays counted until it is released, but stops nobody any more. */
  leave(): void {
    this.#left = true
    this.#uncrowd()
    this.#unwatch()
  }

  /** Who still moves may have twice as much of it: the others are at fault. */
  #checkTotal(): void {
    if (this.#gate.bufferedBytes <= MAX_LINK_HELD_BYTES * (this.moves ? 2 : 1)) return
    throw tooMuchHeld()
  }

  #crowd(): void {
    if (this.#crowdedSince !== undefined || this.#left) return
    this.#crowdedSince = this.#clock.now()
    this.#gate.enter()
  }

  #uncrowd(): void {
    if (this.#crowdedSince === undefined) return
    this.#crowdedSince = undefined
    this.#gate.leave()
  }

  /** Counts the 30 s from the last movement, from when it began to matter to others, or from when the reader was back. */
  #look(): void {
    const now = this.#clock.now()
    const since = this.#heldBack()
      ? (this.#crowdedSince ?? now)
      : Math.max(this.#crowdedSince ?? this.#gate.fullSince ?? now, this.#movedAt)
    const still = Math.min(now - since, this.#readerMs())
    const left = BASE_STALL_TIMEOUT_MS - still
    this.#watch = left > 0 ? this.#clock.after(left, () => this.#look()) : undefined
    if (left <= 0) this.#stalled()
  }

  #unwatch(): void {
    this.#watch?.cancel()
    this.#watch = undefined
  }
}
