import type { Clock } from '../../ports.js'

/** Channels of one session measure at least this far apart: one that opens among hundreds has no need to. */
const INTERVAL_MS = 250

/** A path of less is short: windows as they begin carry 500 MB/s through it, and larger ones would only be queues. */
export const SHORT_PATH_MS = 1

/** A path that was found to be as long is not taken for a short one because its answers wait in queues. */
export const LONG_PATH_MS = 20

/**
 * What came at such a rate while an answer was awaited was in the way of the answer, in bytes a millisecond. Networks that
 * are so fast are near.
 */
const QUEUE_RATE = 500_000

/** Milliseconds; `'queued'` when an answer waited behind data, and nothing was seen of the path itself. */
export type RoundTrip = number | 'queued'

/**
 * How long a control frame takes to the far end of a channel and back. The shortest time is what the path itself takes; any
 * longer one waited in queues.
 */
export class RoundTrips {
  readonly #clock: Pick<Clock, 'now'>
  #shortestMs: number | undefined
  #beganAt = Number.NEGATIVE_INFINITY
  readonly #receivedBytes: () => number

  /** @param receivedBytes of messages that came on the transport by now */
  constructor(clock: Pick<Clock, 'now'>, receivedBytes: () => number) {
    this.#clock = clock
    this.#receivedBytes = receivedBytes
  }

  /** In milliseconds; `undefined` before the first one. */
  get shortestMs(): number | undefined {
    return this.#shortestMs
  }

  /** Begins a measurement if it is time for one. */
  begin(): Measurement | undefined {
    const now = this.#clock.now()
    if (now - this.#beganAt < INTERVAL_MS) return undefined
    this.#beganAt = now
    return new Measurement(
      () => ({ at: this.#clock.now(), received: this.#receivedBytes() }),
      (tookMs) => {
        this.#shortestMs = Math.min(tookMs, this.#shortestMs ?? tookMs)
      },
    )
  }
}

interface Moment {
  readonly at: number
  /** Bytes that had come on the transport. */
  readonly received: number
}

/**
 * One measurement. It takes two answers where the first one was not quick: what a process does for the first time takes it
 * milliseconds, and a path that seems long gets a large window.
 */
export class Measurement {
  readonly #moment: () => Moment
  readonly #measured: (tookMs: number) => void
  #asked: Moment
  #first: number | undefined

  constructor(moment: () => Moment, measured: (tookMs: number) => void) {
    this.#moment = moment
    this.#measured = measured
    this.#asked = moment()
  }

  /** The answer is there. @returns `undefined` when one more is to be asked for */
  answered(): RoundTrip | undefined {
    const now = this.#moment()
    const took = now.at - this.#asked.at
    const queued = now.received - this.#asked.received > took * QUEUE_RATE
    if (queued) return this.#first !== undefined && this.#first >= LONG_PATH_MS ? this.giveUp() : 'queued'
    if (this.#first === undefined && took >= SHORT_PATH_MS) {
      this.#first = took
      this.#asked = now
      return undefined
    }
    return this.#end(Math.min(took, this.#first ?? took))
  }

  /** No more answers are waited for. @returns what is known by then */
  giveUp(): number | undefined {
    return this.#first === undefined ? undefined : this.#end(this.#first)
  }

  /** Whether the last question was asked so many milliseconds ago. */
  isOlderThan(ms: number): boolean {
    return this.#moment().at - this.#asked.at > ms
  }

  #end(tookMs: number): number {
    this.#measured(tookMs)
    return tookMs
  }
}
