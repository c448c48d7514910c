import type { Clock } from '../ports.js'
import { ExpectedRequests } from './expected-requests.js'

/** What the proxy ports of one server share when it is about to end. */
export class Departure {
  /** Connections of all of them. */
  readonly expected: ExpectedRequests
  readonly #listeners = new Set<() => void>()
  #begun = false

  constructor(clock: Clock) {
    this.expected = new ExpectedRequests(clock)
  }

  /** Connections on which another request may follow are closed after the present one. */
  get begun(): boolean {
    return this.#begun
  }

  /** Idempotent. */
  begin(): void {
    this.#begun = true
    for (const listener of [...this.#listeners]) listener()
    this.#listeners.clear()
  }

  /** Calls back once when it begins. @returns what is called when nobody wants to hear of it any more */
  onBegun(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
