import { type Logger, remoteText } from '../log.js'
import type { Session } from '../mux/session.js'
import type { Timer } from '../ports.js'
import { CONNECTOR_RESPONSE_TIMEOUT_MS, INSTANCE_RESERVATION_MS } from '../protocol/limits.js'
import { ConnectorOperation, type ConnectorResponseMessage, encodeConnector } from '../protocol/messages.js'
import { type ChannelKey, channelKey, newUuid } from '../protocol/uuid.js'

/** A refused token may still be reserved for an earlier instance: it is asked for again after this time. */
const RETRY_MS = INSTANCE_RESERVATION_MS / 6

/** Keeps an autonomy provider's connector tokens registered: in every new session they are added again. */
export class ConnectorTokens {
  readonly #log: Logger
  #session: Session | undefined
  /** As wished; '' until the server has generated one. */
  readonly #tokens: string[]
  readonly #pending = new Map<ChannelKey, (answer: ConnectorResponseMessage) => void>()
  /** One at most for each token: for its answer, or until it is asked for again. */
  readonly #timers = new Map<number, Timer>()

  constructor(tokens: readonly string[], log: Logger) {
    this.#tokens = [...tokens]
    this.#log = log
  }

  /** The tokens with a name, generated ones included. */
  get tokens(): readonly string[] {
    return this.#tokens.filter((token) => token !== '')
  }

  /** Registers every token in a new session, which takes the place of the one before. */
  register(session: Session): void {
    this.stop()
    this.#session = session
    for (const index of this.#tokens.keys()) this.#add(session, index)
  }

  answered(message: ConnectorResponseMessage): void {
    this.#pending.get(channelKey(message.requestId))?.(message)
  }

  /** A session is gone: if it was the one that they are registered in, nothing is waited for any more. */
  forget(session: Session): void {
    if (session === this.#session) this.stop()
  }

  stop(): void {
    this.#session = undefined
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    this.#pending.clear()
  }

  #add(session: Session, index: number): void {
    if (session.ended) return
    const requestId = newUuid(session.crypto)
    const key = channelKey(requestId)
    const settle = (): void => {
      this.#timers.get(index)?.cancel()
      this.#timers.delete(index)
      this.#pending.delete(key)
    }
    const late = (): void => {
      settle()
      this.#failed(session, index, 'the server did not answer in time')
    }
    this.#timers.set(index, session.clock.after(CONNECTOR_RESPONSE_TIMEOUT_MS, late))
    this.#pending.set(key, ({ success, token, error }) => {
      settle()
      if (success) this.#registered(index, token)
      else this.#failed(session, index, remoteText(error || 'refused'))
    })
    const token = this.#tokens[index] ?? ''
    session.control(encodeConnector({ requestId, token, operation: ConnectorOperation.Add }))
  }

  #registered(index: number, token: string | undefined): void {
    if (this.#tokens[index] !== '') return this.#log.info('connector.registered', { index: index + 1 })
    // asking again would have the server make one more token that nobody knows
    if (!token) return this.#log.warn('connector.unnamed', { index: index + 1 })
    this.#tokens[index] = token
    // a generated token is for its owner to pass on: the only place where it can be read
    this.#log.info('connector.generated', { connectorToken: remoteText(token) })
  }

  #failed(session: Session, index: number, reason: string): void {
    this.#log.warn('connector.refused', { index: index + 1, reason, retryMs: RETRY_MS })
    this.#timers.set(
      index,
      session.clock.after(RETRY_MS, () => this.#add(session, index)),
    )
  }
}
