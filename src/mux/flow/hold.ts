import type { Clock, Timer } from '../../ports.js'
import {
  BASE_CHANNEL_BUFFER_BYTES,
  BASE_LINK_BUFFER_BYTES,
  BASE_READ_PAUSE_MS,
  BASE_STALL_TIMEOUT_MS,
} from '../../protocol/limits.js'
import { MODEST_BYTES, tooMuchHeld } from './held-totals.js'
import type { ReadGate } from './read-gate.js'

/** What one session may hold in spite of the pauses; the channel that then still adds to it without moving is at fault. */
export const MAX_LINK_HELD_BYTES = 2 * BASE_LINK_BUFFER_BYTES

/**
 * Counts what one channel without credit holds back, in the total of its session. While it is more than a limit, or the
 * total is, the transport is read in steps only; a channel of which nothing moves then is given up.
 */
export class Hold {
  readonly #gate: ReadGate
  readonly #clock: Clock
  readonly #stalled: () => void
  /** Above this the transport is read in steps. */
  limitBytes = BASE_CHANNEL_BUFFER_BYTES
  #bytes = 0
  /** When something was released last, or began to be held. */
  #movedAt = 0
  /** Since when this channel is over its own limit. */
  #crowdedSince: number | undefined
  #watch: Timer | undefined
  #left = false

  /** @param stalled called once when nothing was released for {@link BASE_STALL_TIMEOUT_MS} while over a limit. */
  constructor(gate: ReadGate, clock: Clock, stalled: () => void) {
    this.#gate = gate
    this.#clock = clock
    this.#stalled = stalled
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

  /** Counts the 30 s from the last movement, or from when it began to matter to others. */
  #look(): void {
    const over = this.#crowdedSince ?? this.#gate.fullSince ?? this.#clock.now()
    const left = Math.max(over, this.#movedAt) + BASE_STALL_TIMEOUT_MS - this.#clock.now()
    this.#watch = left > 0 ? this.#clock.after(left, () => this.#look()) : undefined
    if (left <= 0) this.#stalled()
  }

  #unwatch(): void {
    this.#watch?.cancel()
    this.#watch = undefined
  }
}
