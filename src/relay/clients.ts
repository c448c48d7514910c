import { LinkSocksError } from '../errors.js'
import { Exit } from '../exit/exit.js'
import { type Logger, limitedLog, logWith, remoteText } from '../log.js'
import type { HostEnvironment } from '../mux/channel/channel-host.js'
import type { Traffic } from '../mux/channel/observer.js'
import { type HeldLimits, HeldTotals, RECEIVED_LIMITS } from '../mux/flow/held-totals.js'
import type { PingTimes } from '../mux/keepalive.js'
import { Session, type SessionHandler } from '../mux/session.js'
import type { AbortOptions, Dialer } from '../ports.js'
import { MIB } from '../protocol/limits.js'
import { type ConnectMessage, encodeConnectorResponse, type Message, MessageType } from '../protocol/messages.js'
import { encodeRefusal } from '../protocol/refusal.js'
import type { Admission } from './admission/authenticate.js'
import { makeRoom } from './admission/make-room.js'
import { SessionTransports } from './admission/session-transports.js'
import { UnknownChannels } from './admission/unknown-channels.js'
import { RelayClient } from './clients/relay-client.js'
import type { ClientEvent, EventLog } from './observe/event-log.js'
import type { Statistics } from './observe/statistics.js'
import type { Streams, TrackedStream } from './observe/streams.js'
import { Splice } from './splice/splice.js'
import type { InstanceTokens } from './tokens/instance-tokens.js'
import { tellPartners } from './tokens/partners.js'
import { newId } from './tokens/token-text.js'
import type { ConnectorToken, Token } from './tokens/tokens.js'

/** What the clients of a relay brought and their partners have not taken yet. */
export const SPLICED_LIMITS: HeldLimits = { sessionBytes: 128 * MIB, totalBytes: 512 * MIB }

export interface ClientsOptions extends HostEnvironment {
  /** The way out of forward clients, one for each client. */
  readonly createExitDialer: () => Dialer
  readonly connectorWaitMs: number
  readonly trace: boolean
  readonly pings?: PingTimes | undefined
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
}

/** What clients have to do with. */
export interface ClientsSurroundings {
  readonly instances: InstanceTokens
  readonly streams: Streams
  readonly events: EventLog
  readonly statistics: Statistics
}

/** The authenticated clients of a relay: gives each what its role allows, and joins them. */
export class Clients {
  readonly #options: ClientsOptions
  readonly #around: ClientsSurroundings
  readonly #clients = new Map<string, RelayClient>()
  readonly #transports: SessionTransports
  /** Bytes on their way from one client to another. */
  readonly spliced = new HeldTotals(SPLICED_LIMITS)
  /** Bytes that wait for what the relay itself opened. */
  readonly received = new HeldTotals(RECEIVED_LIMITS)
  #last = 0
  #draining = false

  constructor(options: ClientsOptions, around: ClientsSurroundings) {
    this.#options = options
    this.#around = around
    this.#transports = new SessionTransports(options)
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

  /** Bytes kept to be sent again. */
  get replayBytes(): number {
    return this.#transports.replayBytes
  }

  /** Refuses new channels, and tells the peers. */
  drain(): void {
    this.#draining = true
    for (const client of this.#clients.values()) client.drain()
  }

  /** Lets a peer in that has authenticated, or go on with the session it had. */
  add(admission: Admission, remoteAddress: string): void {
    if (this.#transports.resume(admission)) return
    makeRoom(admission)
    this.#open(admission, remoteAddress)
  }

  #open(admission: Admission, address: string): void {
    const { token, role, instance, extensions } = admission
    const { clock, crypto, inflate, trace, pings } = this.#options
    this.#last += 1
    const log = logWith(this.#options.log, { link: this.#last })
    const limited = limitedLog(log, () => clock.now())
    // warnings are the peer's doing; what it only uses is logged for debugging, all of it
    const peerLog: Logger = { ...limited, debug: (event, fields) => log.debug(event, fields) }
    const { transport, forget, drain } = this.#transports.open(admission, () => this.#peerDrains(token, client))
    const handler: SessionHandler = {
      ...this.#rights(token, () => client, peerLog),
      ...this.#life(token, () => client, log, forget),
      control: (message) => this.#onControl(token, client, message, limited),
    }
    const environment = { clock, crypto, inflate, trace, pings, totals: this.received }
    const session = new Session(transport, { ...environment, log: peerLog, pongs: false, handler })
    const identity = {
      ...{ id: newId(crypto), number: this.#last, role, tokenId: token.id, address, since: clock.wallTime() },
      // an instance is one of its token; without a UUID each client is one of its own
      group: `${token.token}\n${instance ?? this.#last}`,
      returns: instance !== undefined,
    }
    const client = new RelayClient(identity, session, { extensions, drain })
    log.info('link.admitted', { client: client.id, role, token: token.id, address })
    this.#around.statistics.sessionsOpened[role] += 1
    this.#clients.set(client.id, client)
    this.#came(token, client)
    this.#emit('client.connected', client)
    session.start()
    if (this.#draining) client.drain()
  }

  #life(
    token: Token,
    client: () => RelayClient,
    log: Logger,
    forget: () => void,
  ): Pick<SessionHandler, 'suspended' | 'resumed' | 'close'> {
    const { statistics } = this.#around
    return {
      suspended: (reason) => {
        log.info('link.suspended', {
          role: client().identity.role,
          code: reason.code,
          reason: remoteText(reason.message),
        })
        token.suspended.add(client())
        this.#left(token, client())
        this.#emit('client.suspended', client(), reason)
      },
      resumed: () => {
        log.info('link.resumed', { role: client().identity.role })
        token.suspended.delete(client())
        statistics.sessionsResumed[client().identity.role] += 1
        this.#came(token, client())
        this.#emit('client.resumed', client())
        if (this.#draining) client().drain()
      },
      close: (error) => {
        log.info('link.closed', {
          role: client().identity.role,
          code: error?.code,
          reason: error && remoteText(error.message),
        })
        forget()
        if (token.suspended.delete(client())) this.#checkInstance(token, client())
        else this.#left(token, client())
        this.#over(client(), error)
      },
    }
  }

  /** What a client may do follows from its token alone. */
  #rights(token: Token, client: () => RelayClient, log: Logger): Pick<SessionHandler, 'connect' | 'unknownChannel'> {
    const unknown = new UnknownChannels(this.#options.clock)
    const common = {
      unknownChannel: (raw: Uint8Array, type: number): void => {
        const answer = unknown.answer(raw, type)
        if (answer !== undefined) client().session.control(answer)
      },
    }
    if (token.type === 'forward') {
      const exit = new Exit(this.#options.createExitDialer(), log, (target) =>
        this.#around.streams.observe({ mode: 'forward', tokenId: token.id, target, client: client() }),
      )
      return {
        ...common,
        connect: (message) => this.#unlessDraining(client(), message, (s) => exit.connect(s, message)),
      }
    }
    if (token.type === 'connector') {
      return {
        ...common,
        connect: (message, raw) =>
          this.#unlessDraining(client(), message, () => this.#splice(token, client(), message, raw, log)),
      }
    }
    return common
  }

  #unlessDraining({ session }: RelayClient, { channelId }: ConnectMessage, open: (session: Session) => void): void {
    if (!this.#draining) return open(session)
    session.control(encodeRefusal(channelId, new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')))
  }

  #splice(token: ConnectorToken, client: RelayClient, connect: ConnectMessage, raw: Uint8Array, log: Logger): void {
    const { providers } = token.reverse
    const { streams } = this.#around
    const choose = (options: AbortOptions): Promise<RelayClient> =>
      providers.choose(this.#options.connectorWaitMs, token.owner, options)
    const observe = (traffic: Traffic): TrackedStream =>
      streams.begin({ mode: 'agent', tokenId: token.id, target: connect.target, client }, traffic)
    try {
      new Splice({ connector: client.session, connect, raw, choose, observe, held: this.spliced })
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      log.warn('splice.refused', { code: error.code, reason: error.message })
      // an id in use is the peer's mistake: an answer would be taken for the living channel's
      if (error.code !== 'ERR_MESSAGE_INVALID') client.session.control(encodeRefusal(connect.channelId, error))
    }
  }

  #onControl(token: Token, client: RelayClient, message: Message, log: Logger): void {
    if (message.type === MessageType.Log) {
      log.debug('link.remote', { level: message.level, remote: remoteText(message.message) })
    } else if (message.type === MessageType.Connector) {
      const { requestId, operation } = message
      try {
        if (token.type !== 'reverse') {
          throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'Unauthorized connector management attempt')
        }
        const changed = this.#around.instances.handle(token, client, message)
        log.info('connector.changed', { operation, token: changed.id })
        client.session.control(encodeConnectorResponse({ requestId, success: true, token: changed.token }))
      } catch (thrown) {
        const error = LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID')
        log.warn('connector.refused', { code: error.code, reason: error.message })
        client.session.control(encodeConnectorResponse({ requestId, success: false, error: error.message }))
      }
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

  #emit(type: ClientEvent['type'], { identity }: RelayClient, reason?: LinkSocksError): void {
    const { id, role, tokenId, address } = identity
    this.#around.events.emit({ type, clientId: id, role, tokenId, address, reason: reason?.code })
  }
}
