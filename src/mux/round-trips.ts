import type { Clock } from '../ports.js'

/** Channels of one link measure at least this far apart: one that opens among hundreds has no need to. */
const INTERVAL_MS = 250

/**
 * How long a control frame takes to the far end of a channel and back. The shortest time is what the path itself takes; any
 * longer one waited in queues.
 */
export class RoundTrips {
  readonly #clock: Pick<Clock, 'now'>
  #shortestMs: number | undefined
  #beganAt = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** In milliseconds; `undefined` before the first one. */
  get shortestMs(): number | undefined {
    return this.#shortestMs
  }

  /** Begins a measurement if it is time for one. @returns what ends it, to be called when the answer is there; it gives the time */
  begin(): (() => number) | undefined {
    const beganAt = this.#clock.now()
    if (beganAt - this.#beganAt < INTERVAL_MS) return undefined
    this.#beganAt = beganAt
    return () => {
      const took = this.#clock.now() - beganAt
      this.#shortestMs = Math.min(this.#shortestMs ?? Number.POSITIVE_INFINITY, took)
      return took
    }
  }
}
