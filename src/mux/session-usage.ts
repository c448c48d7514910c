import type { RoundTrips } from './flow/round-trips.js'
import type { Scheduler } from './flow/scheduler.js'
import type { Keepalive } from './keepalive.js'

/** What a session has carried, and how long its path is. */
export class SessionUsage {
  readonly #receivedBytes: () => number
  readonly #roundTrips: RoundTrips
  readonly #scheduler: Scheduler
  readonly #keepalive: Keepalive
  /** Data messages that came for channels that the session doesn't have. */
  unknownData = 0

  constructor(receivedBytes: () => number, roundTrips: RoundTrips, scheduler: Scheduler, keepalive: Keepalive) {
    this.#receivedBytes = receivedBytes
    this.#roundTrips = roundTrips
    this.#scheduler = scheduler
    this.#keepalive = keepalive
  }

  /** Bytes of messages that came. */
  get receivedBytes(): number {
    return this.#receivedBytes()
  }

  /** Bytes of messages that were given to the transport. */
  get sentBytes(): number {
    return this.#scheduler.sentBytes
  }

  /** Milliseconds there and back, as the last ping took or a channel found; `undefined` as long as none did. */
  get roundTripMs(): number | undefined {
    return this.#keepalive.roundTripMs ?? this.#roundTrips.shortestMs
  }
}
