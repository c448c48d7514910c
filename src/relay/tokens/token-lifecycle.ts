import { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Clock } from '../../ports.js'
import type { Alarms } from '../observe/alarms.js'
import type { EventLog, TokenEvent } from '../observe/event-log.js'
import type { ReversePort } from '../reverse/reverse-port.js'
import type { SocksPorts } from './socks-ports.js'
import { TokenExpiry } from './token-expiry.js'
import type { TokenPolicies } from './token-policies.js'
import { sessionsOf, stateOf, type Token, type TokenTable } from './tokens.js'
import type { UsageKeeper } from './usage-keeper.js'

export interface TokenLifecycleOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly ports: SocksPorts
  readonly alarms: Alarms
  readonly events: EventLog
  readonly policies: TokenPolicies
  readonly usage: UsageKeeper
  /** Open SOCKS ports with their token instead of with the first provider. */
  readonly socksNowait: boolean
}

/**
 * What follows from a token being added, changed, expired or removed: its port, its time, alarms and events. The only place
 * that ends sessions because of their token.
 */
export class TokenLifecycle {
  readonly #tokens: TokenTable
  readonly #options: TokenLifecycleOptions
  readonly #expiry: TokenExpiry
  #draining = false
  #closed = false

  constructor(tokens: TokenTable, options: TokenLifecycleOptions) {
    this.#tokens = tokens
    this.#options = options
    this.#expiry = new TokenExpiry(options.clock, this)
  }

  /** Takes nothing new any more. */
  get draining(): boolean {
    return this.#draining
  }

  /** A token is in the table now. Settles when its port is open, if it opens with its token. */
  async added(token: Token): Promise<void> {
    this.#options.usage.watch(token)
    // what providers add is logged as what they asked for, and lasts as long as they do
    if (token.source === 'provider') return this.#emit('token.added', token)
    const port = portOf(token)
    if (this.#draining) port?.stopAccepting()
    this.#options.log.info('token.added', { type: token.type, token: token.id, port: port?.port })
    this.#emit('token.added', token)
    this.#options.policies.changed(token)
    void this.reconsider(token)
    if (port !== undefined && this.#opensAtOnce(port) && !this.#closed) await port.open()
  }

  /** An operator has given a token other traits. Settles when its port is open, if it opens with its token. */
  async changed(token: Token): Promise<void> {
    this.#options.policies.changed(token)
    await this.reconsider(token)
    this.#options.log.info('token.changed', { type: token.type, token: token.id })
    this.#emit('token.changed', token)
  }

  /** The time of a token is over. */
  expired(token: Token): void {
    void this.reconsider(token)
    this.#emit('token.changed', token)
  }

  /** Brings what runs with a token to where it belongs now: its traits are new, its time is over, or somebody comes with it. */
  async reconsider(token: Token): Promise<void> {
    const { clock, ports } = this.#options
    this.#expiry.watch(token)
    const state = stateOf(token, clock.wallTime())
    if (state !== 'active') return this.#shut(token, `the token ${state === 'expired' ? 'has expired' : 'is disabled'}`)
    // those of a relay that takes nothing new are closed for good
    if (token.type !== 'reverse' || token.port?.closed !== true || this.#draining) return
    token.port = ports.create(token, token.port.port)
    if (this.#opensAtOnce(token.port)) await token.port.open()
  }

  /** Takes a token and all that hangs on it out of the table, and ends it. Settles when its port is free. */
  async drop(token: Token): Promise<void> {
    if (!this.#tokens.remove(token)) return
    if (token.type === 'reverse') for (const connector of [...token.connectors]) void this.drop(connector)
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'the token was removed')
    for (const session of sessionsOf(token)) void session.close(reason)
    this.#expiry.forget(token)
    this.#options.policies.forget(token)
    this.#options.usage.forget(token)
    this.#options.alarms.clear('port-unavailable', token.id)
    this.#options.log.info('token.removed', { type: token.type, token: token.id })
    this.#emit('token.removed', token)
    await portOf(token)?.close()
  }

  /** Frees every port; the connections that are there go on. */
  drain(): void {
    this.#draining = true
    for (const token of this.#tokens.all()) portOf(token)?.stopAccepting()
    this.#options.ports.release()
  }

  /** Ends every session and port; tokens stay in the table. */
  async close(): Promise<void> {
    this.#draining = true
    this.#closed = true
    this.#expiry.close()
    this.#options.policies.close()
    this.#options.ports.release()
    const tokens = [...this.#tokens.all()]
    const sessions = tokens.flatMap((token) => sessionsOf(token)).map((session) => session.close())
    await Promise.all([...sessions, ...tokens.map((token) => portOf(token)?.close())])
  }

  /** Ends what runs with a token, and with the connector tokens that depend on it. */
  #shut(token: Token, reason: string): void {
    const error = new LinkSocksError('ERR_SHUTTING_DOWN', reason)
    const depending = token.type === 'reverse' ? [...token.connectors] : []
    for (const session of [token, ...depending].flatMap(sessionsOf)) void session.close(error)
    void portOf(token)?.close()
    this.#options.alarms.clear('port-unavailable', token.id)
    this.#options.log.info('token.shut', { token: token.id, reason })
  }

  /** What runs with a token ends, and the token stays: it ended in the process that has it now. */
  end(token: Token): void {
    this.#shut(token, 'the token was removed or disabled')
  }

  #opensAtOnce(port: ReversePort): boolean {
    return this.#options.socksNowait || this.#options.ports.opensAtOnce(port)
  }

  #emit(type: TokenEvent['type'], { id, type: tokenType, traits }: Token): void {
    this.#options.events.emit({ type, tokenId: id, tokenType, label: traits.label })
  }
}

function portOf(token: Token): ReversePort | undefined {
  return token.type === 'reverse' ? token.port : undefined
}
