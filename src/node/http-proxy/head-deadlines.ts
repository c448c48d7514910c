import type { Clock, Timer } from '../../ports.js'

/** From the first byte of a later request to the end of its head. */
const HEAD_TIMEOUT_MS = 10_000
/** A connection between two requests. */
export const PROXY_IDLE_MS = 60_000

export interface HeadDeadlinesOptions {
  readonly clock: Clock
  /** Milliseconds for the head of the first request, from now on. */
  readonly firstHeadMs: number
  /** No whole head has come in time. */
  readonly late: () => void
  /** Nothing has come between two requests. */
  readonly idle: () => void
}

/** How long one connection waits for the head of a request, and between two requests. */
export class HeadDeadlines {
  readonly #options: HeadDeadlinesOptions
  #timer: Timer | undefined
  #idle = false
  #leaving = false

  constructor(options: HeadDeadlinesOptions) {
    this.#options = options
    this.#limit(options.firstHeadMs)
  }

  /** All requests are answered: the connection may rest until a byte of the next one comes. */
  rest(): void {
    if (this.#leaving) return this.#options.idle()
    this.#idle = true
    this.#limit(PROXY_IDLE_MS)
  }

  /** From here on the connection does not rest: `idle` is called instead, at once where it does already. */
  leave(): void {
    this.#leaving = true
    if (!this.#idle) return
    this.stop()
    this.#options.idle()
  }

  bytesCame(): void {
    if (!this.#idle) return
    this.#idle = false
    this.#limit(HEAD_TIMEOUT_MS)
  }

  /** A head has come, or none is expected any more. */
  stop(): void {
    this.#timer?.cancel()
    this.#idle = false
  }

  #limit(ms: number): void {
    this.#timer?.cancel()
    const { clock, late, idle } = this.#options
    this.#timer = clock.after(ms, () => (this.#idle ? idle() : late()))
  }
}
