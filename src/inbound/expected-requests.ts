import type { Clock } from '../ports.js'

/** Milliseconds from the accepted connection after which a client that has asked for nothing is not waited for. */
export const EXPECTED_REQUEST_MS = 1_000

/** Connections of a server whose first request is still to come: before it ends, it waits for those that came lately. */
export class ExpectedRequests {
  readonly #clock: Clock
  readonly #since = new Map<object, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It was accepted just now. */
  add(connection: object): void {
    this.#since.set(connection, this.#clock.now())
  }

  /** It has asked, or is gone. */
  delete(connection: object): void {
    this.#since.delete(connection)
  }

  /** `now` has the place of `before`. */
  replace(before: object, now: object): void {
    const since = this.#since.get(before)
    if (since === undefined) return
    this.#since.delete(before)
    this.#since.set(now, since)
  }

  /** Whether there is one that is worth waiting for. */
  get some(): boolean {
    const now = this.#clock.now()
    for (const since of this.#since.values()) if (now - since < EXPECTED_REQUEST_MS) return true
    return false
  }
}
