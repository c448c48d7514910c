import { LinkSocksError } from '../errors.js'
import type { DrainingProcess } from '../handover.js'
import { Departure } from '../inbound/departure.js'
import type { FailedAttempts } from '../inbound/failed-attempts.js'
import { type Logger, limitedLog } from '../log.js'
import { type DrainLimits, drained } from '../mux/drained.js'
import type { Session } from '../mux/session.js'
import type { AbortOptions, ProxyProtocol, ServerAccessRules, TokenStore } from '../ports.js'
import type { RelayAdmin } from './admin.js'
import { authenticate, type ConnectionAttempt, type Identity, identifyQuery } from './admission/authenticate.js'
import { crowdedToken } from './admission/client-limit.js'
import { limitedInstance } from './admission/held-links.js'
import { LateTokens } from './admission/late-tokens.js'
import type { LinkOrigin } from './clients/relay-client.js'
import { Clients, type ClientsOptions } from './clients.js'
import { Alarms } from './observe/alarms.js'
import type { ClientInfo, RelayTotals } from './observe/client-info.js'
import { clientInfo, sumOf, totalsOf } from './observe/client-info.js'
import { EventLog } from './observe/event-log.js'
import { mapPage, type Page, type PageQuery, pageOf } from './observe/page.js'
import { PolicyRefusals } from './observe/policy-refusals.js'
import { Statistics } from './observe/statistics.js'
import type { StreamInfo, StreamQuery } from './observe/streams.js'
import { Streams } from './observe/streams.js'
import { PolicyGate } from './policies/policy-gate.js'
import { quiet } from './quiet.js'
import type { OpenSocksPort } from './reverse/reverse-port.js'
import { type DryRun, type DryRunResult, dryRun } from './tokens/dry-run.js'
import type { HandedPorts } from './tokens/handed-ports.js'
import { InstanceTokens } from './tokens/instance-tokens.js'
import type { ServerAccess, ServerAccessChange } from './tokens/server-access.js'
import { SocksPorts } from './tokens/socks-ports.js'
import { StoreHandover } from './tokens/store-handover.js'
import { TokenDesk } from './tokens/token-desk.js'
import { TokenLifecycle } from './tokens/token-lifecycle.js'
import { TokenPolicies } from './tokens/token-policies.js'
import type { AddedToken, TokenChange, TokenInfo, TokenSpec, TokenStatus, TokenUsageInfo } from './tokens/token-spec.js'
import { infoOf, statusOf, usageOf } from './tokens/token-status.js'
import { sessionsOf, stateOf, type Token, TokenTable } from './tokens/tokens.js'
import { UsageKeeper } from './tokens/usage-keeper.js'
import type { QuotaState } from './traffic/token-traffic.js'

/** How long a connector's request waits for a provider, unless told otherwise (docs/protocol.md A.5). */
export const CONNECTOR_WAIT_MS = 5_000

/** Why a link is refused whose client has one already. */
const ONE_LINK = 'its client has a living link, and may have one only'

export interface RelayOptions extends ClientsOptions {
  readonly openPort: OpenSocksPort
  /** Asked from `restore()` on. @default no sockets were handed over */
  readonly handedPorts?: (() => HandedPorts | undefined) | undefined
  /** Where SOCKS ports are allocated, both ends included. */
  readonly portRange: readonly [number, number]
  /** Open SOCKS ports with their token instead of with the first provider. */
  readonly socksNowait: boolean
  /** What SOCKS ports serve. @default all */
  readonly proxyProtocols?: readonly ProxyProtocol[] | undefined
  readonly fastOpen: boolean
  /** Shared with whoever else authenticates. */
  readonly attempts: FailedAttempts
  readonly store: TokenStore
  readonly access: ServerAccess
}

/** What a server has besides its relay. */
export interface DrainSurroundings {
  /** Whether all requests to the server are answered. @default they are */
  readonly isQuiet?: (() => boolean) | undefined
  /** Called then. Settles when nothing else writes into the data directory. */
  readonly quieted?: (() => Promise<void>) | undefined
}

/** The relay server's core: admits clients, and lets operators see and change what there is. */
export class Relay implements RelayAdmin {
  readonly events: EventLog
  readonly statistics = new Statistics()
  readonly clientTable: Clients
  readonly alarms: Alarms
  readonly #options: RelayOptions
  readonly #tokens: TokenTable
  readonly #streams: Streams
  readonly #ports: SocksPorts
  readonly #lifecycle: TokenLifecycle
  readonly #desk: TokenDesk
  readonly #instances: InstanceTokens
  readonly #refusals: PolicyRefusals
  readonly #usage: UsageKeeper
  readonly #handover: StoreHandover
  readonly #attemptsLog: Logger
  readonly #late: LateTokens
  /** Of the proxy ports. */
  readonly #departure: Departure
  /** What was under way at the beginning is answered: what comes now is for the next process. */
  #draining = false
  #closed = false

  constructor(options: RelayOptions) {
    const { clock, crypto, log } = options
    this.#options = options
    this.#attemptsLog = limitedLog(log, () => clock.now())
    this.events = new EventLog(clock)
    this.alarms = new Alarms(clock, this.events)
    this.#tokens = new TokenTable(crypto)
    const { alarms, events, statistics } = this
    const streams = new Streams({ clock, events, statistics })
    this.#refusals = new PolicyRefusals({ clock, log, events, statistics })
    const gate = new PolicyGate(clock, this.#refusals)
    this.#departure = new Departure(clock)
    this.#late = new LateTokens(this.#tokens, clock)
    const ports = new SocksPorts(this.#tokens, { ...options, departure: this.#departure, alarms, streams, gate })
    const policies = new TokenPolicies({ clock, streams, refusals: this.#refusals })
    const usedUp = (token: Token): void => policies.usedUp(token)
    const forgotten = (id: string): void => this.#refusals.forget(id)
    const usage = new UsageKeeper(this.#tokens, {
      ...{ clock, log, store: options.store, alarms, events, statistics },
      ...{ usedUp, forgotten },
    })
    const lifecycle = new TokenLifecycle(this.#tokens, { ...options, ports, alarms, events, policies, usage })
    this.#streams = streams
    this.#ports = ports
    this.#usage = usage
    const state = () => ({ clients: this.clientTable.size, streams: streams.size })
    const ended = (id: string): void => {
      const token = this.#tokens.byId(id)
      if (token !== undefined) lifecycle.end(token)
    }
    this.#handover = new StoreHandover({ clock, log, store: options.store, usage, state, ended })
    events.subscribe(({ event }) => {
      if (event.type === 'token.added') this.#late.arrived(event.tokenId)
      if (event.type === 'token.removed' || (event.type === 'token.changed' && !this.#isActive(event.tokenId)))
        this.#handover.tokenEnded(event.tokenId)
    })
    this.#lifecycle = lifecycle
    this.#instances = new InstanceTokens(this.#tokens, { clock, crypto, lifecycle })
    this.#desk = new TokenDesk(this.#tokens, { ...options, ports, alarms, lifecycle, usage })
    this.clientTable = new Clients(options, { instances: this.#instances, streams, events, statistics, gate })
  }

  get draining(): boolean {
    return this.#draining
  }

  get durable(): boolean {
    return this.#options.store.durable
  }

  /**
   * Begins with `specs` and with what the store has; called once.
   * @throws {LinkSocksError} ERR_STORE, and as addToken()
   */
  async restore(specs: readonly TokenSpec[]): Promise<void> {
    await this.#desk.restore(specs)
    await this.#handover.begin()
    this.#ports.start()
    if (this.#options.handedPorts?.() !== undefined) this.#late.start()
  }

  /** Other processes that drain, and had the store before. Never rejects. */
  drainingProcesses(): Promise<readonly DrainingProcess[]> {
    return this.#handover.draining()
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
    return this.#info(await this.#desk.change(id, change))
  }

  dryRun(id: string, question: DryRun): DryRunResult {
    const token = this.#tokens.byId(id)
    if (token === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    return dryRun(token, question, this.#options.access)
  }

  tokenUsage(id: string): TokenUsageInfo | undefined {
    const token = this.#tokens.byId(id)
    return token && usageOf(token, this.#refusals.countsOf(id), this.#options.clock.wallTime())
  }

  async resetUsage(id: string): Promise<TokenUsageInfo> {
    const token = this.#tokens.byId(id)
    if (token === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    await this.#usage.reset(token)
    return usageOf(token, this.#refusals.countsOf(id), this.#options.clock.wallTime())
  }

  /** Of the tokens that have one. */
  *quotas(): Iterable<QuotaState> {
    for (const { use } of this.#tokens.all()) {
      const quota = use.traffic.quotaState()
      if (quota !== undefined) yield quota
    }
  }

  get access(): ServerAccessRules {
    return this.#options.access.rules
  }

  changeAccess(change: ServerAccessChange): Promise<void> {
    return this.#desk.changeAccess(change)
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

  /**
   * Asked before a WebSocket is opened. @returns whether it may be, which takes {@link HELD_LINK_ANSWER_MS} at most; `undefined`
   * where there is nothing to wait for. What authenticates in the WebSocket, or is going to fail there, may be opened. Never rejects.
   */
  mayConnect(query: URLSearchParams, origin: LinkOrigin, { signal }: AbortOptions = {}): Promise<boolean> | undefined {
    const { held } = this.clientTable
    const { clock } = this.#options
    const identity = identifyQuery(query, { tokens: this.#tokens, clock, origin })
    const key = identity && limitedInstance(identity)
    if (key === undefined || !held.holds(key)) return undefined
    return held.wait(key, { signal }).then((given) => {
      if (!given && signal?.aborted !== true) this.#surplus(key, origin.address)
      return given
    })
  }

  /**
   * Asked before a WebSocket is opened: whether the policy of the token in its query lets another client in. What authenticates in the
   * WebSocket, or is going to fail there, may be opened.
   */
  hasRoom(query: URLSearchParams, origin: LinkOrigin): boolean {
    const context = { tokens: this.#tokens, clock: this.#options.clock, origin }
    const identity = identifyQuery(query, context)
    return identity === undefined || !this.#isCrowded(identity, origin.address)
  }

  /** Admits one WebSocket, or answers why not. Never rejects. */
  async accept(attempt: ConnectionAttempt, origin: LinkOrigin): Promise<void> {
    const { clock, attempts } = this.#options
    try {
      const context = { tokens: this.#tokens, clock, attempts, origin, late: this.#late, refusals: this.#refusals }
      const admission = await authenticate(attempt, context)
      // between the look-up and here the token may have gone
      const { token } = admission
      if (!this.#takes(token) || this.#isCrowded(admission, origin.address)) return admission.close()
      const key = limitedInstance(admission)
      if (key !== undefined && this.clientTable.held.holds(key)) {
        const given = await this.clientTable.held.wait(key, { signal: admission.gone })
        if (!this.#takes(token)) return admission.close()
        // another attempt may have been faster
        if (!given || this.clientTable.held.holds(key)) {
          if (!admission.gone.aborted) this.#surplus(key, origin.address)
          return admission.close()
        }
      }
      // the calendar may have been set back since its time was over
      void this.#lifecycle.reconsider(token)
      if (token.type === 'connector') void this.#lifecycle.reconsider(token.reverse)
      this.clientTable.add(admission, origin)
    } catch (thrown) {
      this.#rejected(origin.address, LinkSocksError.from(thrown, 'ERR_AUTH_REJECTED'))
    }
  }

  #isActive(id: string): boolean {
    const token = this.#tokens.byId(id)
    return token !== undefined && stateOf(token, this.#options.clock.wallTime()) === 'active'
  }

  #isCrowded(identity: Identity, remoteAddress: string): boolean {
    const crowded = crowdedToken(identity)
    if (crowded === undefined) return false
    this.#refusals.refused({ tokenId: crowded.id, reason: 'clients', subject: remoteAddress })
    return true
  }

  /**
   * Takes nothing new, and lets what is under way come to its end, within `limits`: first the requests to the server itself, then the
   * streams of clients. In between the store is given to the next process: from there on changes are refused (ERR_SHUTTING_DOWN).
   */
  async drain(
    { limitMs, idleMs }: DrainLimits,
    { isQuiet = () => true, quieted }: DrainSurroundings = {},
  ): Promise<void> {
    const { clock } = this.#options
    const end = clock.now() + limitMs
    this.#lifecycle.drain()
    this.#departure.begin()
    this.#handover.leaving()
    this.clientTable.held.refuseAll()
    await quiet(() => isQuiet() && !this.#asked(), limitMs, clock)
    await quieted?.()
    this.#draining = true
    await this.#handover.release(Math.max(0, end - clock.now()), (last) => this.#desk.close(last))
    await this.clientTable.drain(Math.max(0, end - clock.now()))
    const sessions = (): Session[] => [...this.#tokens.all()].flatMap((token) => sessionsOf(token))
    await drained(sessions, { limitMs: Math.max(0, end - clock.now()), idleMs }, clock)
  }

  /** Whether a client of a proxy port may be about to ask, or its request has not been passed on to a provider. */
  #asked(): boolean {
    if (this.#departure.expected.some) return true
    for (const token of this.#tokens.all()) {
      if (token.type === 'reverse' && token.providers.size > 0 && token.use.waiting > 0) return true
    }
    return false
  }

  /** Ends every client and port, and closes the store. */
  async close(): Promise<void> {
    this.#closed = true
    this.clientTable.held.refuseAll()
    this.#instances.close()
    this.#refusals.close()
    const ended = this.#lifecycle.close()
    await this.#handover.stopTaking()
    // what the last sessions used is written as well
    await this.#desk.close(() => ended.then(() => this.#usage.close()))
    await this.#handover.end()
  }

  #takes(token: Token): boolean {
    return !this.#closed && this.#tokens.has(token) && stateOf(token, this.#options.clock.wallTime()) === 'active'
  }

  /** A link was refused because its client has one: said once for each link that is held. */
  #surplus(key: string, address: string): void {
    if (this.clientTable.held.firstRefusal(key)) this.#rejected(address, new LinkSocksError('ERR_LIMIT', ONE_LINK))
  }

  #rejected(address: string, { code, message }: LinkSocksError): void {
    this.#attemptsLog.warn('link.rejected', { address, code, reason: message })
  }

  #info(token: Token): TokenInfo {
    return infoOf(token, this.#options.clock.wallTime(), this.durable)
  }
}
