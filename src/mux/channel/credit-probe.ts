import type { Clock, Timer } from '../../ports.js'
import { CREDIT_PROBE_MS, CREDIT_PROBE_TIMEOUT_MS } from '../../protocol/limits.js'

/** Questions come at least {@link CREDIT_PROBE_MS} apart: what comes sooner after one that was answered is no question. */
const ANSWER_INTERVAL_MS = CREDIT_PROBE_MS / 2

export interface CreditProbeEvents {
  /** Sends WINDOW_UPDATE 0. */
  ask(): void
  /** No frame came on the channel within {@link CREDIT_PROBE_TIMEOUT_MS} of the question. */
  unanswered(): void
}

/**
 * Watches a sender without credit: after {@link CREDIT_PROBE_MS} it asks whether the far end still knows the channel
 * (docs/protocol.md B.2). A paused reader answers, a lost mapping doesn't.
 */
export class CreditProbe {
  readonly #clock: Clock
  readonly #events: CreditProbeEvents
  #timer: Timer | undefined
  #asked = false
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, events: CreditProbeEvents) {
    this.#clock = clock
    this.#events = events
  }

  /** The sender has bytes and no credit. Idempotent. */
  blocked(): void {
    this.#timer ??= this.#clock.after(CREDIT_PROBE_MS, () => this.#ask())
  }

  /**
   * A frame came on the channel, which answers a question.
   * @returns whether one was open.
   */
  sawTraffic(): boolean {
    const asked = this.#asked
    this.stop()
    return asked
  }

  /**
   * A WINDOW_UPDATE 0 came that answers nothing of ours.
   * @returns whether to answer. A late answer looks like a question; two ends that answered each other's answers would
   * never stop.
   */
  questioned(): boolean {
    const now = this.#clock.now()
    if (now - this.#answeredAt < ANSWER_INTERVAL_MS) return false
    this.#answeredAt = now
    return true
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#asked = false
  }

  #ask(): void {
    this.#asked = true
    this.#timer = this.#clock.after(CREDIT_PROBE_TIMEOUT_MS, () => this.#events.unanswered())
    this.#events.ask()
  }
}
