import { type Logger, remoteText } from '../log.js'
import type { Session } from '../mux/session.js'
import type { Timer } from '../ports.js'
import { CONNECTOR_RESPONSE_TIMEOUT_MS, INSTANCE_RESERVATION_MS } from '../protocol/limits.js'
import { ConnectorOperation, type ConnectorResponseMessage, encodeConnector } from '../protocol/messages.js'
import { type ChannelKey, channelKey, newUuid } from '../protocol/uuid.js'

/** A refused token may still be reserved for an earlier instance: it is asked for again after this time. */
const RETRY_MS = INSTANCE_RESERVATION_MS / 6

/** A session of this client, and where it leads. */
export interface ProviderLink {
  readonly session: Session
  /** Of the server. */
  readonly url: string
  /** The server is about to end. */
  readonly draining: boolean
}

/** Tokens as they were asked for through one link. */
interface Registration {
  readonly link: ProviderLink
  /** One at most for each token: for its answer, or until it is asked for again. */
  readonly timers: Map<number, Timer>
  readonly pending: Map<ChannelKey, (answer: ConnectorResponseMessage) => void>
}

/**
 * Keeps an autonomy provider's connector tokens registered with each server that it has links to. There the links of one client are
 * one instance: one of them speaks for all, and when it is gone the next one does.
 */
export class ConnectorTokens {
  readonly #log: Logger
  /** As wished; '' until the server has generated one. */
  readonly #tokens: string[]
  /** In the order in which they came. */
  readonly #links = new Set<ProviderLink>()
  /** By the URL of the server. */
  readonly #registrations = new Map<string, Registration>()

  constructor(tokens: readonly string[], log: Logger) {
    this.#tokens = [...tokens]
    this.#log = log
  }

  /** The tokens with a name, generated ones included. */
  get tokens(): readonly string[] {
    return this.#tokens.filter((token) => token !== '')
  }

  /** A new session. It registers the tokens, unless one does already that its server knows and can be asked through. */
  join(link: ProviderLink): void {
    this.#links.add(link)
    const present = this.#registrations.get(link.url)?.link
    if (present === undefined || !serves(present)) this.#register(link)
  }

  /** A session is gone: the next one to that server speaks for it, if it was the one that did. */
  leave(link: ProviderLink): void {
    this.#links.delete(link)
    if (this.#registrations.get(link.url)?.link !== link) return
    this.#stop(link.url)
    const next = [...this.#links].find((other) => other.url === link.url && serves(other))
    if (next === undefined) this.#askForNames()
    else this.#register(next)
  }

  answered(link: ProviderLink, message: ConnectorResponseMessage): void {
    const registration = this.#registrations.get(link.url)
    if (registration?.link === link) registration.pending.get(channelKey(message.requestId))?.(message)
  }

  #register(link: ProviderLink): void {
    this.#stop(link.url)
    const registration: Registration = { link, timers: new Map(), pending: new Map() }
    this.#registrations.set(link.url, registration)
    for (const [index, token] of this.#tokens.entries()) if (token !== '') this.#add(registration, index)
    this.#askForNames()
  }

  /** One server generates a token, the others are told it then. */
  #askForNames(): void {
    const registrations = [...this.#registrations.values()]
    const [first] = registrations
    if (first === undefined) return
    for (const [index, token] of this.#tokens.entries()) {
      if (token === '' && !registrations.some(({ timers }) => timers.has(index))) this.#add(first, index)
    }
  }

  #stop(url: string): void {
    const registration = this.#registrations.get(url)
    this.#registrations.delete(url)
    for (const timer of registration?.timers.values() ?? []) timer.cancel()
  }

  #add(registration: Registration, index: number): void {
    const { link, timers, pending } = registration
    const { session } = link
    if (session.ended) return
    const requestId = newUuid(session.crypto)
    const key = channelKey(requestId)
    const settle = (): void => {
      timers.get(index)?.cancel()
      timers.delete(index)
      pending.delete(key)
    }
    const late = (): void => {
      settle()
      this.#failed(registration, index, 'the server did not answer in time')
    }
    timers.set(index, session.clock.after(CONNECTOR_RESPONSE_TIMEOUT_MS, late))
    pending.set(key, ({ success, token, error }) => {
      settle()
      if (success) this.#registered(registration, index, token)
      else this.#failed(registration, index, remoteText(error || 'refused'))
    })
    const token = this.#tokens[index] ?? ''
    session.control(encodeConnector({ requestId, token, operation: ConnectorOperation.Add }))
  }

  #registered(registration: Registration, index: number, token: string | undefined): void {
    if (this.#tokens[index] !== '') return this.#log.info('connector.registered', { index: index + 1 })
    // asking again would have the server make one more token that nobody knows
    if (!token) return this.#log.warn('connector.unnamed', { index: index + 1 })
    this.#tokens[index] = token
    // a generated token is for its owner to pass on: the only place where it can be read
    this.#log.info('connector.generated', { connectorToken: remoteText(token) })
    for (const other of this.#registrations.values()) if (other !== registration) this.#add(other, index)
  }

  #failed(registration: Registration, index: number, reason: string): void {
    const { clock } = registration.link.session
    this.#log.warn('connector.refused', { index: index + 1, reason, retryMs: RETRY_MS })
    const again = clock.after(RETRY_MS, () => this.#add(registration, index))
    registration.timers.set(index, again)
  }
}

/** Whether the server hears now what is asked through it. */
function serves({ session, draining }: ProviderLink): boolean {
  return session.available && !draining
}
