import { LinkSocksError } from '../errors.js'
import { type Logger, limitedLog } from '../log.js'
import { drained } from '../mux/drained.js'
import type { TokenStore } from '../ports.js'
import type { RelayAdmin } from './admin.js'
import { authenticate, type ConnectionAttempt } from './admission/authenticate.js'
import type { FailedAttempts } from './admission/failed-attempts.js'
import { Clients, type ClientsOptions } from './clients.js'
import { Alarms } from './observe/alarms.js'
import type { ClientInfo, RelayTotals } from './observe/client-info.js'
import { clientInfo, sumOf, totalsOf } from './observe/client-info.js'
import type { AlarmInfo } from './observe/event-log.js'
import { EventLog, type TokenEvent } from './observe/event-log.js'
import { mapPage, type Page, type PageQuery, pageOf } from './observe/page.js'
import { Statistics } from './observe/statistics.js'
import type { StreamInfo, StreamQuery } from './observe/streams.js'
import { Streams } from './observe/streams.js'
import type { OpenSocksPort } from './reverse/reverse-port.js'
import { InstanceTokens } from './tokens/instance-tokens.js'
import { SocksPorts } from './tokens/socks-ports.js'
import { TokenDesk } from './tokens/token-desk.js'
import { TokenExpiry } from './tokens/token-expiry.js'
import type { AddedToken, TokenChange, TokenInfo, TokenSpec, TokenStatus } from './tokens/token-spec.js'
import { infoOf, statusOf } from './tokens/token-status.js'
import { sessionsOf, stateOf, type Token, TokenTable } from './tokens/tokens.js'

/** How long a connector's request waits for a provider, unless told otherwise (docs/protocol.md A.5). */
export const CONNECTOR_WAIT_MS = 5_000

export interface RelayOptions extends ClientsOptions {
  readonly openPort: OpenSocksPort
  /** Where SOCKS ports are allocated, both ends included. */
  readonly portRange: readonly [number, number]
  /** Open SOCKS ports with their token instead of with the first provider. */
  readonly socksNowait: boolean
  readonly fastOpen: boolean
  /** Shared with whoever else authenticates. */
  readonly attempts: FailedAttempts
  readonly store: TokenStore
}

/** The relay server's core: admits clients, and lets operators see and change what there is. */
export class Relay implements RelayAdmin {
  readonly events: EventLog
  readonly statistics = new Statistics()
  readonly clientTable: Clients
  readonly warnings: Alarms
  readonly #options: RelayOptions
  readonly #log: Logger
  readonly #tokens: TokenTable
  readonly #streams: Streams
  readonly #ports: SocksPorts
  readonly #desk: TokenDesk
  readonly #expiry: TokenExpiry
  readonly #instances: InstanceTokens
  readonly #attemptsLog: Logger
  #draining = false
  #closed = false

  constructor(options: RelayOptions) {
    const { clock, crypto, log } = options
    this.#options = options
    this.#log = log
    this.#attemptsLog = limitedLog(log, () => clock.now())
    this.events = new EventLog(clock)
    this.warnings = new Alarms(clock, this.events)
    this.#tokens = new TokenTable(crypto)
    this.#streams = new Streams({ clock, events: this.events, statistics: this.statistics })
    this.#expiry = new TokenExpiry(clock, (token) => {
      void this.#reconsider(token)
      this.#emit('token.changed', token)
    })
    this.#instances = new InstanceTokens(this.#tokens, {
      clock,
      crypto,
      added: (token) => this.#emit('token.added', token),
      drop: (token) => this.#drop(token),
    })
    this.#ports = new SocksPorts(this.#tokens, {
      ...options,
      streams: this.#streams,
      changed: ({ id, port }, error) => this.#portChanged(id, port?.port, error),
    })
    this.#desk = new TokenDesk(this.#tokens, {
      ...options,
      ports: this.#ports,
      alarms: this.warnings,
      added: (token) => this.#added(token),
      changed: (token) => this.#reconsider(token),
      drop: (token) => this.#drop(token),
    })
    this.clientTable = new Clients(options, {
      instances: this.#instances,
      streams: this.#streams,
      events: this.events,
      statistics: this.statistics,
    })
  }

  get draining(): boolean {
    return this.#draining || this.#closed
  }

  get durable(): boolean {
    return this.#options.store.durable
  }

  /**
   * Begins with `specs` and with what the store has; called once.
   * @throws {LinkSocksError} ERR_STORE, and as addToken()
   */
  restore(specs: readonly TokenSpec[]): Promise<void> {
    return this.#desk.restore(specs)
  }

  tokens(): readonly TokenStatus[] {
    return [...this.#tokens.all()].flatMap((token) => statusOf(token) ?? [])
  }

  tokenPage(query: PageQuery): Page<TokenInfo> {
    const page = pageOf([...this.#tokens.all()], ({ number }) => number, query)
    return mapPage(page, (token) => this.#info(token))
  }

  get tokenCounts(): Readonly<Record<Token['type'], number>> {
    return this.#tokens.counts
  }

  tokenInfo(id: string): TokenInfo | undefined {
    const token = this.#tokens.byId(id)
    return token && this.#info(token)
  }

  tokenId(token: string): string | undefined {
    return this.#tokens.find(token)?.id
  }

  addToken(spec: TokenSpec): Promise<AddedToken> {
    return this.#desk.add(spec)
  }

  async removeToken(name: string): Promise<void> {
    await this.#desk.remove(() => this.#tokens.find(name))
  }

  async removeTokenById(id: string): Promise<void> {
    await this.#desk.remove(() => this.#tokens.byId(id))
  }

  async changeToken(id: string, change: TokenChange): Promise<TokenInfo> {
    const token = await this.#desk.change(id, change)
    this.#log.info('token.changed', { type: token.type, token: token.id })
    this.#emit('token.changed', token)
    return this.#info(token)
  }

  clients(): readonly ClientInfo[] {
    return Array.from(this.clientTable.all, clientInfo)
  }

  clientPage(query: PageQuery): Page<ClientInfo> {
    const page = pageOf([...this.clientTable.all], ({ identity }) => identity.number, query)
    return mapPage(page, clientInfo)
  }

  disconnect(id: string): void {
    const client = this.clientTable.byId(id)
    if (client === undefined) throw new LinkSocksError('ERR_CLIENT_NOT_FOUND', 'client not found')
    void client.session.close(new LinkSocksError('ERR_SHUTTING_DOWN', 'disconnected by the operator'))
  }

  streams(): Iterable<StreamInfo> {
    return this.#streams.infos()
  }

  streamPage(query: StreamQuery): Page<StreamInfo> {
    return this.#streams.page(query)
  }

  alarms(): readonly AlarmInfo[] {
    return this.warnings.active
  }

  totals(): RelayTotals {
    const { receivedBytes, sentBytes } = totalsOf(this.clientTable.all, this.statistics)
    return {
      tokens: this.#tokens.size,
      clients: this.clientTable.size,
      streams: this.#streams.size,
      receivedBytes: sumOf(receivedBytes),
      sentBytes: sumOf(sentBytes),
    }
  }

  /** Admits one WebSocket, or answers why not. Never rejects. */
  async accept(attempt: ConnectionAttempt, remoteAddress: string): Promise<void> {
    const { clock, attempts } = this.#options
    try {
      const context = { tokens: this.#tokens, clock, attempts, address: remoteAddress }
      const admission = await authenticate(attempt, context)
      // between the look-up and here the token may have gone
      const { token } = admission
      const usable = this.#tokens.has(token) && stateOf(token, clock.wallTime()) === 'active'
      if (this.#closed || !usable) return admission.close()
      // the calendar may have been set back since its time was over
      void this.#reconsider(token)
      if (token.type === 'connector') void this.#reconsider(token.reverse)
      this.clientTable.add(admission, remoteAddress)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_AUTH_REJECTED')
      this.#attemptsLog.warn('link.rejected', { address: remoteAddress, code: error.code, reason: error.message })
    }
  }

  /** Takes nothing new, and lets what is under way come to its end, for `limitMs` at most. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const tokens = [...this.#tokens.all()]
    for (const token of tokens) if (token.type === 'reverse') token.port?.stopAccepting()
    this.clientTable.drain()
    await drained(() => tokens.flatMap((token) => sessionsOf(token)), limitMs, this.#options.clock)
  }

  /** Ends every client and port, and closes the store. */
  async close(): Promise<void> {
    this.#closed = true
    this.#instances.close()
    this.#expiry.close()
    const done = this.#desk.close()
    const sessions = [...this.#tokens.all()].flatMap((token) => sessionsOf(token))
    const ports = [...this.#tokens.all()].map((token) => (token.type === 'reverse' ? token.port?.close() : undefined))
    await Promise.all([...sessions.map((session) => session.close()), ...ports, done])
  }

  #info(token: Token): TokenInfo {
    return infoOf(token, this.#options.clock.wallTime(), this.durable)
  }

  #added(token: Token): void {
    const port = token.type === 'reverse' ? token.port?.port : undefined
    this.#log.info('token.added', { type: token.type, token: token.id, port })
    this.#emit('token.added', token)
    void this.#reconsider(token)
  }

  /** Its traits are new, its time is over, or somebody comes with it. */
  async #reconsider(token: Token): Promise<void> {
    const { clock, socksNowait } = this.#options
    this.#expiry.watch(token)
    const state = stateOf(token, clock.wallTime())
    if (state !== 'active') return this.#shut(token, `the token ${state === 'expired' ? 'has expired' : 'is disabled'}`)
    // those of a relay that takes nothing new are closed for good
    if (token.type !== 'reverse' || token.port?.closed !== true || this.draining) return
    token.port = this.#ports.create(token, token.port.port)
    if (socksNowait) await token.port.open()
  }

  /** Ends what runs with a token, and with the connector tokens that depend on it. */
  #shut(token: Token, reason: string): void {
    const error = new LinkSocksError('ERR_SHUTTING_DOWN', reason)
    const depending = token.type === 'reverse' ? [...token.connectors] : []
    for (const session of [token, ...depending].flatMap(sessionsOf)) void session.close(error)
    if (token.type === 'reverse') void token.port?.close()
    this.warnings.clear('port-unavailable', token.id)
    this.#log.info('token.shut', { token: token.id, reason })
  }

  /** Takes a token and all that hangs on it out of the tables, and ends the clients. */
  #drop(token: Token): void {
    if (!this.#tokens.remove(token)) return
    if (token.type === 'reverse') for (const connector of [...token.connectors]) this.#drop(connector)
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'the token was removed')
    for (const session of sessionsOf(token)) void session.close(reason)
    this.#expiry.forget(token)
    this.warnings.clear('port-unavailable', token.id)
    this.#log.info('token.removed', { type: token.type, token: token.id })
    this.#emit('token.removed', token)
  }

  #portChanged(id: string, port: number | undefined, error: string | undefined): void {
    if (error === undefined) this.warnings.clear('port-unavailable', id)
    else this.warnings.raise('port-unavailable', id, `the SOCKS port ${port} cannot be opened: ${error}`)
  }

  #emit(type: TokenEvent['type'], { id, type: tokenType, label }: Token): void {
    this.events.emit({ type, tokenId: id, tokenType, label })
  }
}
