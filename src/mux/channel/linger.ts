import type { Clock, Timer } from '../../ports.js'
import { BASE_LINGER_MS } from '../../protocol/limits.js'

/** Data within this time before the linger ends means that more was to come. */
const QUIET_MS = 1_000
/**
 * After `close()` and END_OF_STREAM: how long a slow reader may still take to read up to it before the channel is reset;
 * one that goes on sending until its credit is gone has {@link BASE_LINGER_MS}.
 */
export const CLOSE_LINGER_MS = 300_000

/** The wait for the far end's end, after our own has left. */
export class Linger {
  readonly #clock: Clock
  readonly #expired: (quiet: boolean) => void
  #timer: Timer | undefined
  #lastData = Number.NEGATIVE_INFINITY
  #short = false

  /** @param expired called at the end of the wait, with whether nothing had come for a while. */
  constructor(clock: Clock, expired: (quiet: boolean) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** Data came. */
  data(): void {
    this.#lastData = this.#clock.now()
  }

  /** The far end sends what nobody takes and has no credit for more: the wait, also one under way, is short. */
  shorten(): void {
    this.#short = true
    if (this.#timer !== undefined) this.start()
  }

  /** Begins the wait, anew if need be: {@link BASE_LINGER_MS} for base channels, else {@link CLOSE_LINGER_MS}. */
  start(base = false): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(base || this.#short ? BASE_LINGER_MS : CLOSE_LINGER_MS, () =>
      this.#expired(this.#clock.now() - this.#lastData >= QUIET_MS),
    )
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
