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
import { Answers } from './admission/session-transports.js'
import { UnknownChannels } from './admission/unknown-channels.js'
import { RelayLink } from './clients/relay-link.js'
import type { ClientEvent, EventLog } from './observe/event-log.js'
import type { Statistics } from './observe/statistics.js'
import type { Streams, TrackedStream } from './observe/streams.js'
import { Splice } from './splice/splice.js'
import type { InstanceTokens } from './tokens/instance-tokens.js'
import { tellPartners } from './tokens/partners.js'
import { newId } from './tokens/token-text.js'
import type { ConnectorToken, Token } from './tokens/tokens.js'

/** What the links of a relay brought and their partners have not taken yet. */
export const SPLICED_LIMITS: HeldLimits = { linkBytes: 128 * MIB, totalBytes: 512 * MIB }

export interface LinksOptions extends HostEnvironment {
  /** The way out of forward clients, one for each link. */
  readonly createExitDialer: () => Dialer
  readonly connectorWaitMs: number
  readonly trace: boolean
  readonly pings?: PingTimes | undefined
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
}

/** What links have to do with. */
export interface LinksSurroundings {
  readonly instances: InstanceTokens
  readonly streams: Streams
  readonly events: EventLog
  readonly statistics: Statistics
}

/** The authenticated links of a relay: gives each what its role allows, and joins them. */
export class Links {
  readonly #options: LinksOptions
  readonly #around: LinksSurroundings
  readonly #links = new Map<string, RelayLink>()
  readonly #answers: Answers
  /** Bytes on their way from one link to another. */
  readonly spliced = new HeldTotals(SPLICED_LIMITS)
  /** Bytes that wait for what the relay itself opened. */
  readonly received = new HeldTotals(RECEIVED_LIMITS)
  #last = 0
  #draining = false

  constructor(options: LinksOptions, around: LinksSurroundings) {
    this.#options = options
    this.#around = around
    this.#answers = new Answers(options)
  }

  /** Living and suspended ones, in the order in which they came. */
  get all(): Iterable<RelayLink> {
    return this.#links.values()
  }

  get size(): number {
    return this.#links.size
  }

  byId(id: string): RelayLink | undefined {
    return this.#links.get(id)
  }

  /** Bytes kept to be sent again. */
  get replayBytes(): number {
    return this.#answers.replayBytes
  }

  /** Refuses new channels, and tells the peers. */
  drain(): void {
    this.#draining = true
    for (const link of this.#links.values()) link.drain()
  }

  /** Lets a peer in that has authenticated, or go on with the session it had. */
  admit(admission: Admission, remoteAddress: string): void {
    if (this.#answers.resume(admission)) return
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
    const { transport, forget, drain } = this.#answers.admit(admission, () => this.#peerDrains(token, link))
    const handler: SessionHandler = {
      ...this.#rights(token, () => link, peerLog),
      ...this.#life(token, () => link, log, forget),
      control: (message) => this.#onControl(token, link, message, limited),
    }
    const environment = { clock, crypto, inflate, trace, pings, totals: this.received }
    const session = new Session(transport, { ...environment, log: peerLog, pongs: false, handler })
    const identity = {
      ...{ id: newId(crypto), number: this.#last, role, tokenId: token.id, address, since: clock.wallTime() },
      // an instance is one of its token; without a UUID each link is one of its own
      group: `${token.token}\n${instance ?? this.#last}`,
      returns: instance !== undefined,
    }
    const link = new RelayLink(identity, session, { extensions, drain })
    log.info('link.admitted', { client: link.id, role, token: token.id, address })
    this.#around.statistics.sessionsOpened[role] += 1
    this.#links.set(link.id, link)
    this.#came(token, link)
    this.#emit('client.connected', link)
    session.start()
    if (this.#draining) link.drain()
  }

  #life(
    token: Token,
    link: () => RelayLink,
    log: Logger,
    forget: () => void,
  ): Pick<SessionHandler, 'suspended' | 'resumed' | 'close'> {
    const { statistics } = this.#around
    return {
      suspended: (reason) => {
        log.info('link.suspended', {
          role: link().identity.role,
          code: reason.code,
          reason: remoteText(reason.message),
        })
        token.suspended.add(link())
        this.#left(token, link())
        this.#emit('client.suspended', link(), reason)
      },
      resumed: () => {
        log.info('link.resumed', { role: link().identity.role })
        token.suspended.delete(link())
        statistics.sessionsResumed[link().identity.role] += 1
        this.#came(token, link())
        this.#emit('client.resumed', link())
        if (this.#draining) link().drain()
      },
      close: (error) => {
        log.info('link.closed', {
          role: link().identity.role,
          code: error?.code,
          reason: error && remoteText(error.message),
        })
        forget()
        if (token.suspended.delete(link())) this.#judgeInstance(token, link())
        else this.#left(token, link())
        this.#over(link(), error)
      },
    }
  }

  /** What a link may do follows from its token alone. */
  #rights(token: Token, link: () => RelayLink, log: Logger): Pick<SessionHandler, 'connect' | 'unknownChannel'> {
    const unknown = new UnknownChannels(this.#options.clock)
    const common = {
      unknownChannel: (raw: Uint8Array, type: number): void => {
        const answer = unknown.answer(raw, type)
        if (answer !== undefined) link().session.control(answer)
      },
    }
    if (token.type === 'forward') {
      const exit = new Exit(this.#options.createExitDialer(), log, (target) =>
        this.#around.streams.observe({ mode: 'forward', tokenId: token.id, target, client: link() }),
      )
      return { ...common, connect: (message) => this.#unlessDraining(link(), message, (s) => exit.connect(s, message)) }
    }
    if (token.type === 'connector') {
      return {
        ...common,
        connect: (message, raw) =>
          this.#unlessDraining(link(), message, () => this.#splice(token, link(), message, raw, log)),
      }
    }
    return common
  }

  #unlessDraining({ session }: RelayLink, { channelId }: ConnectMessage, open: (session: Session) => void): void {
    if (!this.#draining) return open(session)
    session.control(encodeRefusal(channelId, new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')))
  }

  #splice(token: ConnectorToken, client: RelayLink, connect: ConnectMessage, raw: Uint8Array, log: Logger): void {
    const { providers } = token.reverse
    const { streams } = this.#around
    const choose = (options: AbortOptions): Promise<RelayLink> =>
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

  #onControl(token: Token, link: RelayLink, message: Message, log: Logger): void {
    if (message.type === MessageType.Log) {
      log.debug('link.remote', { level: message.level, remote: remoteText(message.message) })
    } else if (message.type === MessageType.Connector) {
      const { requestId, operation } = message
      try {
        if (token.type !== 'reverse') {
          throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'Unauthorized connector management attempt')
        }
        const changed = this.#around.instances.handle(token, link, message)
        log.info('connector.changed', { operation, token: changed.id })
        link.session.control(encodeConnectorResponse({ requestId, success: true, token: changed.token }))
      } catch (thrown) {
        const error = LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID')
        log.warn('connector.refused', { code: error.code, reason: error.message })
        link.session.control(encodeConnectorResponse({ requestId, success: false, error: error.message }))
      }
    }
  }

  /** A link is there, or there again. */
  #came(token: Token, link: RelayLink): void {
    token.links.add(link)
    if (token.type === 'connector') tellPartners(token.reverse)
    if (token.type !== 'reverse') return
    this.#around.instances.arrived(link.group)
    if (!link.draining) token.providers.add(link)
    void token.port?.open()
    tellPartners(token)
  }

  #peerDrains(token: Token, link: RelayLink): void {
    link.draining = true
    if (token.type === 'reverse') token.providers.remove(link)
  }

  /** A link is gone, perhaps to come back. */
  #left(token: Token, link: RelayLink): void {
    token.links.delete(link)
    if (token.type === 'connector') tellPartners(token.reverse)
    if (token.type !== 'reverse') return
    token.providers.remove(link)
    this.#judgeInstance(token, link)
    tellPartners(token)
  }

  /** An instance is there as long as one of its links is, or may come back. */
  #judgeInstance(token: Token, { identity: { group, returns } }: RelayLink): void {
    if (token.type !== 'reverse') return
    const there = [...token.links, ...token.suspended].some((link) => link.group === group)
    if (!there) this.#around.instances.vanished(token, group, returns)
  }

  #over(link: RelayLink, error: LinkSocksError | undefined): void {
    const { statistics } = this.#around
    const { receivedBytes, sentBytes } = link.session.usage
    const { role } = link.identity
    this.#links.delete(link.id)
    statistics.receivedBytes[role] += receivedBytes
    statistics.sentBytes[role] += sentBytes
    this.#emit('client.closed', link, error)
  }

  #emit(type: ClientEvent['type'], { identity }: RelayLink, reason?: LinkSocksError): void {
    const { id, role, tokenId, address } = identity
    this.#around.events.emit({ type, clientId: id, role, tokenId, address, reason: reason?.code })
  }
}
