import type { Clock, Timer } from '../../ports.js'
import { BASE_LINGER_MS, BASE_STALL_TIMEOUT_MS } from '../../protocol/limits.js'

/** How long a splice outlives the first Disconnect: deployed ends still send data for 5 s and then their own. */
const LINGER_MS = BASE_LINGER_MS + 5_000

export interface LingerEvents {
  /** Nothing waits any more: an end that answers nothing is not waited for. */
  drained(): boolean
  over(): void
  /** Data still waits, and none of it left for {@link BASE_STALL_TIMEOUT_MS}. */
  stalled(): void
  /** Milliseconds for which both ends have been there; 0 while one is away and may come back. */
  thereMs(): number
}

/** Keeps a splice between its first Disconnect and the moment when all that was sent has left. */
export class Linger {
  readonly #clock: Clock
  readonly #events: LingerEvents
  #timer: Timer | undefined
  #movedAt = 0

  constructor(clock: Clock, events: LingerEvents) {
    this.#clock = clock
    this.#events = events
  }

  /** Idempotent. */
  begin(): void {
    if (this.#timer !== undefined) return
    this.moved()
    this.#wait()
  }

  /** Something left. */
  moved(): void {
    this.#movedAt = this.#clock.now()
  }

  get #stands(): boolean {
    return Math.min(this.#clock.now() - this.#movedAt, this.#events.thereMs()) >= BASE_STALL_TIMEOUT_MS
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #wait(): void {
    this.#timer = this.#clock.after(LINGER_MS, () => {
      if (this.#events.drained()) this.#events.over()
      else if (this.#stands) this.#events.stalled()
      else this.#wait()
    })
  }
}
