import type { Clock } from '../../ports.js'
import { KIB, MAX_DATA_BYTES, MIB } from '../../protocol/limits.js'

/** Data of one message where nothing is known about the path: small enough to take turns. */
const LEAST_BYTES = 64 * KIB
/** What a message may occupy the transport. */
const SHARE_MS = 1
/** The rate is known anew after so many bytes. */
const SAMPLE_BYTES = MIB

/**
 * How large messages are: large ones cost less, and what comes behind one waits for it. On a fast path they may grow up to
 * {@link MAX_DATA_BYTES} for the same wait.
 */
export class Pace {
  readonly #clock: Pick<Clock, 'now'>
  #since: number
  #bytes = 0
  #messageBytes = LEAST_BYTES

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Most data that one message should carry now. */
  get messageBytes(): number {
    return this.#messageBytes
  }

  /** `bytes` were given to the transport. Time without any counts as slowness. */
  sent(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < SAMPLE_BYTES) return
    const now = this.#clock.now()
    const share = (this.#bytes / Math.max(now - this.#since, 1e-3)) * SHARE_MS
    this.#messageBytes = Math.round(Math.min(MAX_DATA_BYTES, Math.max(LEAST_BYTES, share)))
    this.#since = now
    this.#bytes = 0
  }
}
