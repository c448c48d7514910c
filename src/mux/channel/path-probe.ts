import { LONG_PATH_MS, type Measurement, type RoundTrip } from '../flow/round-trips.js'
import type { ChannelHost } from './channel-host.js'

/** A busy channel measures its round trip again after this time. */
const MEASURE_AGAIN_MS = 500
/**
 * After so many measurements of a channel its own shortest is what its path takes. Before, they may all have waited, on a busy machine
 * for one, and what other channels have seen counts as well, though their far ends may be nearer.
 */
export const SURE_AFTER = 4
/** How long the next answer is waited for of a far end that has answered one PING. */
const PONG_PATIENCE_MS = 3_000

/** Measures what the path of one channel takes, with PINGs to its far end (docs/protocol.md B.2). */
export class PathProbe {
  readonly #host: Pick<ChannelHost, 'clock' | 'roundTrips'>
  readonly #ping: (id: number) => void
  /** The measurement that is under way. */
  #measuring: Measurement | undefined
  #measuredAt = Number.NEGATIVE_INFINITY
  /** The shortest that this channel has seen. */
  #ownMs: number | undefined
  #measurements = 0
  /** The last answer waited behind data. */
  #queued = false

  /** @param ping sends a PING to the far end */
  constructor(host: Pick<ChannelHost, 'clock' | 'roundTrips'>, ping: (id: number) => void) {
    this.#host = host
    this.#ping = ping
  }

  /** Begins a measurement if none is under way and it is time for one. */
  measure(): void {
    if (this.#measuring?.isOlderThan(PONG_PATIENCE_MS)) this.#learn(this.#measuring.giveUp())
    if (this.#measuring !== undefined) return
    this.#measuring = this.#host.roundTrips.begin()
    if (this.#measuring !== undefined) this.#ping(0)
  }

  /** A PONG came; one that answers no measurement says nothing. */
  answered(): void {
    if (this.#measuring === undefined) return
    const took = this.#measuring.answered()
    if (took === undefined) this.#ping(1)
    else this.#learn(took)
  }

  /**
   * What the path of this channel takes there and back, in milliseconds; another channel's of the same session where it was
   * not measured. `'queued'` for a path that is not known to be long and whose last answer waited behind data.
   */
  roundTrip(): RoundTrip | undefined {
    if (this.#host.clock.now() - this.#measuredAt >= MEASURE_AGAIN_MS) this.measure()
    const known = this.#known()
    return this.#queued && (known ?? 0) < LONG_PATH_MS ? 'queued' : known
  }

  #known(): number | undefined {
    const { shortestMs } = this.#host.roundTrips
    if (this.#ownMs === undefined || shortestMs === undefined) return this.#ownMs ?? shortestMs
    return this.#measurements < SURE_AFTER ? Math.min(this.#ownMs, shortestMs) : this.#ownMs
  }

  /** The measurement is over. */
  #learn(took: RoundTrip | undefined): void {
    this.#measuring = undefined
    this.#measuredAt = this.#host.clock.now()
    if (took === undefined) return
    this.#queued = took === 'queued'
    if (took === 'queued') return
    this.#measurements += 1
    this.#ownMs = Math.min(took, this.#ownMs ?? took)
  }
}
