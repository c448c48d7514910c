import { LinkSocksError } from '../errors.js'
import { type Logger, remoteText } from '../log.js'
import { isTokenText } from '../protocol/text.js'
import type { Admitted, Ticket } from './connect-link.js'

/** Connects with a token, and with a ticket where there is one for that server. */
export type ConnectWith = (token: string | undefined, ticket: Ticket | undefined) => Promise<Admitted>

/**
 * Which token a client shows to which server. Some servers assign one in their answer, as deployed programs expect: the next
 * handshakes with that server, and with no other, use it instead of the client's own. One token for each URL is kept.
 */
export class AssignedTokens {
  readonly #own: string | undefined
  readonly #log: Logger
  readonly #byUrl = new Map<string, string>()
  #shown: string | undefined

  /** @param own the client's own token, if it has one */
  constructor(own: string | undefined, log: Logger) {
    this.#own = own
    this.#log = log
  }

  /**
   * Connects to `url` with the token for it; when that was assigned and the server refuses it now, at once again with the client's
   * own. A session goes on with the token it began with, whatever was assigned since.
   * @throws what `connect` throws
   */
  async connect(url: string, ticket: Ticket | undefined, connect: ConnectWith): Promise<Admitted> {
    const fitting = ticket?.url === url ? ticket : undefined
    const token = fitting === undefined ? (this.#byUrl.get(url) ?? this.#own) : fitting.token
    try {
      return this.#adopt(await connect(token, fitting))
    } catch (thrown) {
      if (!this.#forget(url, token, thrown)) throw thrown
      return this.#adopt(await connect(this.#own, undefined))
    }
  }

  #adopt(admitted: Admitted): Admitted {
    const { url, assignedToken } = admitted
    if (assignedToken === undefined) return admitted
    if (isTokenText(assignedToken)) this.#byUrl.set(url, assignedToken)
    if (this.#own === undefined) this.#show(assignedToken)
    return admitted
  }

  /** Without it nobody could connect to this client: it is for its owner to pass on. */
  #show(token: string): void {
    if (token === this.#shown) return
    this.#shown = token
    this.#log.info('token.assigned', { token: remoteText(token) })
  }

  /** @returns whether it was an assigned token that the server refused */
  #forget(url: string, token: string | undefined, error: unknown): boolean {
    if (!(error instanceof LinkSocksError) || error.code !== 'ERR_AUTH_REJECTED') return false
    if (token === this.#own) return false
    // another connection may have forgotten it already
    if (token === this.#byUrl.get(url)) this.#byUrl.delete(url)
    return true
  }
}
