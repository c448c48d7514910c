import type { Clock } from '../ports.js'

/** Channels of one link measure at least this far apart: one that opens among hundreds has no need to. */
const INTERVAL_MS = 250

/** A path of less is short: windows as they begin carry 500 MB/s through it, and larger ones would only be queues. */
export const SHORT_PATH_MS = 1

/** Tells that the answer is there. Gives the time in milliseconds, or `undefined` when one more is to be asked for. */
export type Answered = () => number | undefined

/**
 * What came at such a rate while an answer was awaited was in the way of the answer, in bytes a millisecond. Networks that
 * are so fast are near.
 */
const QUEUE_RATE = 500_000

/**
 * How long a control frame takes to the far end of a channel and back. The shortest time is what the path itself takes; any
 * longer one waited in queues.
 */
export class RoundTrips {
  readonly #clock: Pick<Clock, 'now'>
  #shortestMs: number | undefined
  #beganAt = Number.NEGATIVE_INFINITY
  #received = 0

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** In milliseconds; `undefined` before the first one. */
  get shortestMs(): number | undefined {
    return this.#shortestMs
  }

  /** So many bytes came on the link. */
  received(bytes: number): void {
    this.#received += bytes
  }

  /**
   * Begins a measurement if it is time for one. It takes two answers where the first one was not quick: what a process does
   * for the first time takes it milliseconds, and a path that seems long gets a large window. An answer that waited behind
   * data says 0: of the path itself nothing was seen.
   */
  begin(): Answered | undefined {
    const beganAt = this.#clock.now()
    if (beganAt - this.#beganAt < INTERVAL_MS) return undefined
    this.#beganAt = beganAt
    let asked = { at: beganAt, received: this.#received }
    let first: number | undefined
    return () => {
      const now = this.#clock.now()
      const took = now - asked.at
      if (this.#received - asked.received > took * QUEUE_RATE) return 0
      if (first === undefined && took >= SHORT_PATH_MS) {
        first = took
        asked = { at: now, received: this.#received }
        return undefined
      }
      const shorter = Math.min(took, first ?? took)
      this.#shortestMs = Math.min(shorter, this.#shortestMs ?? shorter)
      return shorter
    }
  }
}
