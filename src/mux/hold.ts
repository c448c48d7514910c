import { LinkSocksError } from '../errors.js'
import type { Clock, Timer } from '../ports.js'
import { BASE_CHANNEL_BUFFER_BYTES, BASE_LINK_BUFFER_BYTES, BASE_STALL_TIMEOUT_MS, KIB } from '../protocol/limits.js'
import type { ReadGate } from './read-gate.js'

/** What one link may hold in spite of the pauses; the channel that then still adds to it is at fault. */
export const MAX_LINK_HELD_BYTES = 2 * BASE_LINK_BUFFER_BYTES
/** A channel that holds no more than this is not. */
const MODEST_BYTES = 64 * KIB

/**
 * Counts what one channel without credit holds back, in the total of its link, and stops the reading of the link while
 * it is more than {@link BASE_CHANNEL_BUFFER_BYTES}.
 */
export class Hold {
  readonly #gate: ReadGate
  readonly #clock: Clock
  readonly #stalled: () => void
  /** Above this the link is not read. */
  limitBytes = BASE_CHANNEL_BUFFER_BYTES
  #bytes = 0
  #crowded = false
  #stall: Timer | undefined

  /** @param stalled called when nothing was released for {@link BASE_STALL_TIMEOUT_MS} while over the limit. */
  constructor(gate: ReadGate, clock: Clock, stalled: () => void) {
    this.#gate = gate
    this.#clock = clock
    this.#stalled = stalled
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws {LinkSocksError} ERR_LIMIT (over {@link MAX_LINK_HELD_BYTES}); what was added is counted all the same */
  add(bytes: number): void {
    this.#bytes += bytes
    this.#gate.hold(bytes)
    if (this.#bytes > MODEST_BYTES && this.#gate.bufferedBytes > MAX_LINK_HELD_BYTES) {
      throw new LinkSocksError('ERR_LIMIT', 'too much of this link waits for slow readers')
    }
    if (this.#bytes <= this.limitBytes) return
    if (!this.#crowded) {
      this.#crowded = true
      this.#gate.enter()
      this.#watch()
    }
    this.#gate.pause()
  }

  release(bytes: number): void {
    const released = Math.min(bytes, this.#bytes)
    if (released === 0) return
    this.#bytes -= released
    this.#gate.hold(-released)
    if (!this.#crowded) return
    if (this.#bytes <= this.limitBytes / 2) this.leave()
    else this.#watch()
  }

  /** Stays counted until it is released, but stops nobody any more. */
  leave(): void {
    if (!this.#crowded) return
    this.#crowded = false
    this.#stall?.cancel()
    this.#gate.leave()
  }

  #watch(): void {
    this.#stall?.cancel()
    this.#stall = this.#clock.after(BASE_STALL_TIMEOUT_MS, () => this.#stalled())
  }
}
