import { LinkSocksError } from '../errors.js'
import type { AccessSource } from '../exit/dial/access-rules.js'
import { type Logger, limitedLog, logWith, peerLog, remoteLog, remoteText } from '../log.js'
import type { HostEnvironment } from '../mux/channel/channel-host.js'
import { type HeldLimits, HeldTotals, RECEIVED_LIMITS } from '../mux/flow/held-totals.js'
import type { PingTimes } from '../mux/keepalive.js'
import { Session, type SessionHandler } from '../mux/session.js'
import type { Dialer, Resolve, Timer } from '../ports.js'
import { MIB } from '../protocol/limits.js'
import type { Admission } from './admission/authenticate.js'
import { takeRoom } from './admission/client-limit.js'
import { HeldLinks, instanceKey } from './admission/held-links.js'
import { holdPlace } from './admission/held-place.js'
import { makeRoom } from './admission/make-room.js'
import { type RightsContext, rightsOf } from './admission/rights.js'
import { SessionTransports } from './admission/session-transports.js'
import { type ClientIdentity, type LinkOrigin, RelayClient } from './clients/relay-client.js'
import type { ClientEvent, EventLog } from './observe/event-log.js'
import type { Statistics } from './observe/statistics.js'
import type { Streams } from './observe/streams.js'
import type { PolicyGate } from './policies/policy-gate.js'
import { SentPolicies } from './policies/sent-policies.js'
import type { InstanceTokens } from './tokens/instance-tokens.js'
import { tellPartners } from './tokens/partners.js'
import { newId } from './tokens/token-text.js'
import type { Token } from './tokens/tokens.js'

/** How long a relay that drains waits for forward clients and connectors to have read that, before it tells providers. */
export const DRAIN_READ_MS = 1_000

/** How often it looks whether those that it can't tell have no channel any more. */
export const UNTOLD_LOOK_MS = 50

/** What the clients of a relay brought and their partners have not taken yet. */
export const SPLICED_LIMITS: HeldLimits = { sessionBytes: 128 * MIB, totalBytes: 512 * MIB }

export interface ClientsOptions extends HostEnvironment {
  /** The way out of forward clients, one for each client. */
  readonly createExitDialer: (rules: AccessSource) => Dialer
  /** For names that access rules are to judge where something else dials. */
  readonly resolve: Resolve
  readonly connectorWaitMs: number
  readonly trace: boolean
  readonly pings?: PingTimes | undefined
  /** Of this program, for clients that probe. */
  readonly version: string
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
}

/** What clients have to do with. */
export interface ClientsSurroundings {
  readonly instances: InstanceTokens
  readonly streams: Streams
  readonly events: EventLog
  readonly statistics: Statistics
  readonly gate: PolicyGate
}

/** The authenticated clients of a relay, and what is seen of their coming and going. */
export class Clients {
  readonly #options: ClientsOptions
  readonly #around: ClientsSurroundings
  readonly #clients = new Map<string, RelayClient>()
  readonly #transports: SessionTransports
  readonly #rights: RightsContext
  /** The links of clients that may have one only. */
  readonly held: HeldLinks
  /** Bytes on their way from one client to another. */
  readonly spliced = new HeldTotals(SPLICED_LIMITS)
  /** Bytes that wait for what the relay itself opened. */
  readonly received = new HeldTotals(RECEIVED_LIMITS)
  #last = 0
  /** Who is told that the relay is about to end. */
  #told: 'nobody' | 'askers' | 'all' = 'nobody'
  /** For those that can't be told. */
  #look: Timer | undefined

  constructor(options: ClientsOptions, around: ClientsSurroundings) {
    this.#options = options
    this.#around = around
    this.#transports = new SessionTransports(options)
    const { clock, createExitDialer, connectorWaitMs, resolve } = options
    this.held = new HeldLinks(clock)
    const { instances, streams, gate } = around
    const { spliced } = this
    this.#rights = { clock, createExitDialer, resolve, connectorWaitMs, instances, streams, gate, spliced }
  }

  /** Living and suspended ones, in the order in which they came. */
  get all(): Iterable<RelayClient> {
    return this.#clients.values()
  }

  get size(): number {
    return this.#clients.size
  }

  byId(id: string): RelayClient | undefined {
    return this.#clients.get(id)
  }

  /** Bytes kept to be sent again, beyond the 1 MiB that each session may keep in any case. */
  get replayBytes(): number {
    return this.#transports.replayBytes
  }

  /**
   * Tells the peers that the relay is about to end. Providers are told last: one that was told ends its session as soon as it has no
   * channel, and others may ask for one until they have read it. The session of a peer that would not understand ends by this end as
   * soon as it has no channel: it comes back to the next server.
   * @param limitMs that the drain has left
   */
  async drain(limitMs = DRAIN_READ_MS): Promise<void> {
    this.held.refuseAll()
    this.#told = 'askers'
    const told = [...this.#clients.values()].filter((client) => this.#tell(client))
    await Promise.all(told.map(({ session }) => session.passed(Math.min(limitMs, DRAIN_READ_MS))))
    this.#told = 'all'
    for (const client of this.#clients.values()) if (client.identity.role === 'provider') this.#tell(client)
    this.#endUntold()
  }

  #endUntold(): void {
    const untold = [...this.#clients.values()].filter(({ drain }) => drain === undefined)
    for (const { session } of untold) {
      if (session.channels === 0)
        void session.close(new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down'))
    }
    this.#look?.cancel()
    this.#look = untold.length === 0 ? undefined : this.#options.clock.after(UNTOLD_LOOK_MS, () => this.#endUntold())
  }

  /** @returns whether `client` has been told now, where its turn has come */
  #tell({ identity: { role }, drain }: RelayClient): boolean {
    if (this.#told === 'nobody' || (this.#told === 'askers' && role === 'provider')) return false
    drain?.()
    return drain !== undefined
  }

  /** Lets a peer in that has authenticated, or go on with the session it had. */
  add(admission: Admission, origin: LinkOrigin): void {
    if (this.#transports.resume(admission, origin)) return
    takeRoom(admission)
    makeRoom(admission)
    this.#open(admission, origin)
  }

  #open(admission: Admission, origin: LinkOrigin): void {
    const { token, role, extensions } = admission
    const { clock, crypto, inflate, trace, pings, version } = this.#options
    this.#last += 1
    const log = logWith(this.#options.log, { link: this.#last })
    const limited = limitedLog(log, () => clock.now())
    const channelLog = peerLog(log, limited)
    const cameFrom = (from: LinkOrigin): void => {
      client.origin = from
    }
    const { transport, forget: forgetTransport, drain } = this.#transports.open(admission, cameFrom)
    const shared = { clock, crypto, inflate, trace, pings, version, totals: this.received }
    const environment = { ...shared, log: channelLog, pongs: false }
    const session = new Session(transport, environment)
    const judges = role === 'provider' && admission.knowsPolicies
    const policies = judges ? new SentPolicies((message) => session.control(message)) : undefined
    const identity = this.#identityOf(admission)
    const client: RelayClient = new RelayClient(identity, session, { extensions, drain, policies, origin })
    const place = holdPlace(this.held, admission, session, () => this.#peerDrains(token, client))
    const forget = (): void => {
      forgetTransport()
      place?.release()
    }
    const logs = { used: channelLog, asked: limited, said: remoteLog(log, () => clock.now()) }
    const rights = rightsOf(token, client, logs, this.#rights)
    const control = place === undefined ? rights.control : place.hear(rights.control)
    const handler = { ...rights, ...(control && { control }), ...this.#life(token, client, log, forget) }
    const { address, subject } = origin
    const certificate = subject && remoteText(subject)
    log.info('link.admitted', { client: client.id, role, token: token.id, address, certificate })
    this.#around.statistics.sessionsOpened[role] += 1
    this.#clients.set(client.id, client)
    this.#came(token, client)
    this.#emit('client.connected', client)
    session.start(handler)
    place?.ask()
    if (!this.#tell(client) && this.#told === 'all')
      this.#look ??= this.#options.clock.after(UNTOLD_LOOK_MS, () => this.#endUntold())
  }

  #identityOf({ token, role, instance }: Admission): ClientIdentity {
    const { clock, crypto } = this.#options
    return {
      ...{ id: newId(crypto), number: this.#last, role, tokenId: token.id, since: clock.wallTime() },
      // an instance is one of its token; without a UUID each client is one of its own
      group: instanceKey(token, instance ?? `${this.#last}`),
      returns: instance !== undefined,
    }
  }

  #life(
    token: Token,
    client: RelayClient,
    log: Logger,
    forget: () => void,
  ): Pick<SessionHandler, 'suspended' | 'resumed' | 'draining' | 'close'> {
    const { role } = client.identity
    return {
      suspended: (reason) => {
        log.info('link.suspended', { role, code: reason.code, reason: remoteText(reason.message) })
        token.suspended.add(client)
        this.#left(token, client)
        this.#emit('client.suspended', client, reason)
      },
      resumed: () => {
        log.info('link.resumed', { role })
        token.suspended.delete(client)
        this.#around.statistics.sessionsResumed[role] += 1
        this.#came(token, client)
        this.#emit('client.resumed', client)
        this.#tell(client)
      },
      draining: () => this.#peerDrains(token, client),
      close: (error) => {
        log.info('link.closed', { role, code: error?.code, reason: error && remoteText(error.message) })
        forget()
        if (token.suspended.delete(client)) this.#checkInstance(token, client)
        else this.#left(token, client)
        this.#over(client, error)
      },
    }
  }

  /** A client is there, or there again. */
  #came(token: Token, client: RelayClient): void {
    token.clients.add(client)
    if (token.type === 'connector') tellPartners(token.reverse)
    if (token.type !== 'reverse') return
    this.#around.instances.arrived(client.group)
    if (!client.draining) token.providers.add(client)
    void token.port?.open()
    tellPartners(token)
  }

  #peerDrains(token: Token, client: RelayClient): void {
    client.draining = true
    if (token.type === 'reverse') token.providers.remove(client)
  }

  /** A client is gone, perhaps to come back. */
  #left(token: Token, client: RelayClient): void {
    token.clients.delete(client)
    if (token.type === 'connector') tellPartners(token.reverse)
    if (token.type !== 'reverse') return
    token.providers.remove(client)
    this.#checkInstance(token, client)
    tellPartners(token)
  }

  /** An instance is there as long as one of its clients is, or may come back. */
  #checkInstance(token: Token, { identity: { group, returns } }: RelayClient): void {
    if (token.type !== 'reverse') return
    const there = [...token.clients, ...token.suspended].some((client) => client.group === group)
    if (!there) this.#around.instances.vanished(token, group, returns)
  }

  #over(client: RelayClient, error: LinkSocksError | undefined): void {
    const { statistics } = this.#around
    const { receivedBytes, sentBytes } = client.session.usage
    const { role } = client.identity
    this.#clients.delete(client.id)
    statistics.receivedBytes[role] += receivedBytes
    statistics.sentBytes[role] += sentBytes
    this.#emit('client.closed', client, error)
  }

  #emit(type: ClientEvent['type'], { identity, origin }: RelayClient, reason?: LinkSocksError): void {
    const { id, role, tokenId } = identity
    const { address, subject } = origin
    this.#around.events.emit({ type, clientId: id, role, tokenId, address, subject, reason: reason?.code })
  }
}
