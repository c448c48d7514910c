import { type Logger, remoteText } from '../log.js'
import type { Clock } from '../ports.js'
import type { LogMessage, PartnersMessage } from '../protocol/messages.js'

/** Lines of a peer that are shown in one {@link PERIOD_MS}; the rest is counted. */
const MAX_LINES = 20
const PERIOD_MS = 10_000

/** Shows what a peer sends to be shown: marked as remote, escaped, and only so many lines. */
export class RemoteLog {
  readonly #log: Logger
  readonly #clock: Clock
  #since = Number.NEGATIVE_INFINITY
  #lines = 0
  #suppressed = 0

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  write({ level, message }: LogMessage): void {
    if (!this.#mayShow()) return
    const fields = { remote: remoteText(message) }
    if (level === 'error' || level === 'warn') this.#log.warn('remote.log', fields)
    else if (level === 'info') this.#log.info('remote.log', fields)
    else this.#log.debug('remote.log', fields)
  }

  partners({ count }: PartnersMessage): void {
    if (this.#mayShow()) this.#log.info('partners', { count })
  }

  #mayShow(): boolean {
    const now = this.#clock.now()
    if (now - this.#since >= PERIOD_MS) this.#begin(now)
    if (this.#lines >= MAX_LINES) {
      this.#suppressed += 1
      return false
    }
    this.#lines += 1
    return true
  }

  #begin(now: number): void {
    if (this.#suppressed > 0) this.#log.warn('remote.suppressed', { lines: this.#suppressed })
    this.#since = now
    this.#lines = 0
    this.#suppressed = 0
  }
}
