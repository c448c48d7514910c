import { type Logger, remoteLog, remoteText } from '../log.js'
import type { Clock } from '../ports.js'
import type { LogMessage, PartnersMessage } from '../protocol/messages.js'

/** Shows what a peer sends to be shown: marked as remote, escaped, and only so many lines. */
export class RemoteLog {
  readonly #log: Logger

  constructor(log: Logger, clock: Clock) {
    this.#log = remoteLog(log, () => clock.now())
  }

  write({ level, message }: LogMessage): void {
    const fields = { remote: remoteText(message) }
    if (level === 'error' || level === 'warn') this.#log.warn('remote.log', fields)
    else if (level === 'info') this.#log.info('remote.log', fields)
    else this.#log.debug('remote.log', fields)
  }

  partners({ count }: PartnersMessage): void {
    this.#log.info('partners', { count })
  }
}
