import { LinkSocksError } from '../errors.js'
import { type Logger, remoteText } from '../log.js'
import type { Clock, Crypto } from '../ports.js'
import { Backoff } from './backoff.js'
import type { Admitted, Ticket } from './connect-link.js'
import { serverText } from './failover.js'
import type { ServedSession } from './served-session.js'

/** Sessions of a client that are kept while it has gone on with another server; one more ends the oldest. */
export const MAX_LEFT_SESSIONS = 16

export interface LeftSessionsOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  /** Connects to the server of the ticket, and to no other. */
  readonly connect: (ticket: Ticket, signal: AbortSignal) => Promise<Admitted>
  /** Ends a connection on which a server goes on with a session that has ended here, or began another one. */
  readonly dismiss: (admitted: Admitted) => void
}

/**
 * Sessions whose server could not be reached while another one admitted the client: what is under way in them comes to its end as soon
 * as their server is back, and until their time is over (docs/protocol.md B.3).
 */
export class LeftSessions {
  readonly #options: LeftSessionsOptions
  /** With what ends the trying; in the order in which they were left. */
  readonly #kept = new Map<ServedSession, AbortController>()
  #closed = false

  constructor(options: LeftSessionsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#kept.size
  }

  /** Lets a suspended session come to its end. One that has nothing to wait for ends at once. */
  keep(served: ServedSession): void {
    const over = new AbortController()
    const end = (): void => {
      this.#kept.delete(served)
      over.abort(new LinkSocksError('ERR_CANCELLED', 'nobody waits any more'))
    }
    if (this.#closed || !served.leave(end)) return served.session.abort(unreached())
    this.#options.log.info('session.left', { server: serverText(served.url), channels: served.session.channels })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size >= MAX_LEFT_SESSIONS) oldest?.session.abort(unreached())
    this.#kept.set(served, over)
    void this.#follow(served, over.signal)
  }

  /** Tries no longer; the sessions are their owner's to end. Idempotent. */
  close(): void {
    this.#closed = true
    for (const over of this.#kept.values()) over.abort(new LinkSocksError('ERR_CANCELLED', 'closed'))
    this.#kept.clear()
  }

  /** Never rejects. */
  async #follow(served: ServedSession, over: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#options.crypto)
    while (!over.aborted) {
      await this.#wait(backoff.next(), over)
      const { ticket } = served
      if (over.aborted || ticket === undefined) return
      try {
        if (await this.#goOn(served, ticket, over)) backoff.reset()
      } catch (thrown) {
        const { code, message } = LinkSocksError.from(thrown, 'ERR_CONNECT')
        this.#options.log.debug('session.unreached', {
          server: serverText(ticket.url),
          code,
          reason: remoteText(message),
        })
        if (code === 'ERR_AUTH_REJECTED') served.session.abort(LinkSocksError.from(thrown, code))
      }
    }
  }

  /** @returns whether it went on, once that connection is gone */
  async #goOn(served: ServedSession, ticket: Ticket, signal: AbortSignal): Promise<boolean> {
    const admitted = await this.#options.connect(ticket, signal)
    const live = admitted.received === undefined ? undefined : served.resume(admitted)
    if (live === undefined) {
      this.#options.dismiss(admitted)
      served.session.abort(new LinkSocksError('ERR_LINK_LOST', 'the server does not know the session any more'))
      return false
    }
    this.#options.log.info('session.rejoined', { server: serverText(ticket.url), channels: served.session.channels })
    await live.gone
    return true
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.#options.clock.after(delayMs, done)
      signal.addEventListener('abort', done)
    })
  }
}

function unreached(): LinkSocksError {
  return new LinkSocksError('ERR_LINK_LOST', 'its server is not reached, and the client has gone on with another one')
}
