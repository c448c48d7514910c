import { LinkSocksError } from '../errors.js'
import { Exit } from '../exit/exit.js'
import { type Logger, limitedLog, logWith, remoteText } from '../log.js'
import { drained } from '../mux/drained.js'
import { type HeldLimits, HeldTotals, RECEIVED_LIMITS } from '../mux/held-totals.js'
import type { PingTimes } from '../mux/keepalive.js'
import type { LinkEnvironment } from '../mux/link.js'
import { encodeRefusal } from '../mux/refusal.js'
import { Session, type SessionHandler } from '../mux/session.js'
import type { AbortOptions, Dialer } from '../ports.js'
import { MIB } from '../protocol/limits.js'
import { type ConnectMessage, encodeConnectorResponse, type Message, MessageType } from '../protocol/messages.js'
import type { AddedToken, TokenAdmin, TokenSpec, TokenStatus } from './admin.js'
import { Answers } from './answers.js'
import { type Admission, authenticate, type Knock } from './authenticate.js'
import type { FailedAttempts } from './failed-attempts.js'
import { InstanceTokens } from './instance-tokens.js'
import { tellPartners } from './partners.js'
import { RelayLink } from './relay-link.js'
import type { OpenSocksPort } from './reverse-port.js'
import { Splice } from './splice.js'
import { TokenDesk } from './token-desk.js'
import { makeRoom, sessionsOf } from './token-sessions.js'
import { tokenLabel } from './token-text.js'
import { type ConnectorToken, type Token, TokenTable } from './tokens.js'
import { UnknownChannels } from './unknown-channels.js'

/** How long a connector's request waits for a provider, unless told otherwise (docs/protocol.md A.5). */
export const CONNECTOR_WAIT_MS = 5_000

/** What the links of a relay brought and their partners have not taken yet. */
export const SPLICED_LIMITS: HeldLimits = { linkBytes: 128 * MIB, totalBytes: 512 * MIB }

export interface RelayOptions extends LinkEnvironment {
  /** The way out of forward clients, one for each link. */
  readonly createExitDialer: () => Dialer
  readonly openPort: OpenSocksPort
  /** Where SOCKS ports are allocated, both ends included. */
  readonly portRange: readonly [number, number]
  /** Open SOCKS ports with their token instead of with the first provider. */
  readonly socksNowait: boolean
  readonly connectorWaitMs: number
  readonly fastOpen: boolean
  readonly trace: boolean
  readonly pings?: PingTimes | undefined
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
  /** Shared with whoever else authenticates. */
  readonly attempts: FailedAttempts
}

/** The relay server's core: admits links, gives each what its role allows, and joins them. */
export class Relay implements TokenAdmin {
  readonly #options: RelayOptions
  readonly #log: Logger
  readonly #tokens: TokenTable
  readonly #desk: TokenDesk
  readonly #instances: InstanceTokens
  readonly #held = new HeldTotals(SPLICED_LIMITS)
  readonly #received = new HeldTotals(RECEIVED_LIMITS)
  readonly #answers: Answers
  readonly #attempts: FailedAttempts
  /** For what anybody may provoke, admitted or not. */
  readonly #strangersLog: Logger
  #links = 0
  #draining = false
  #closed = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.#log = options.log
    this.#strangersLog = limitedLog(options.log, () => options.clock.now())
    this.#tokens = new TokenTable(options.crypto)
    this.#answers = new Answers(options)
    this.#attempts = options.attempts
    this.#desk = new TokenDesk(this.#tokens, options)
    this.#instances = new InstanceTokens(this.#tokens, options.clock, options.crypto, (token) => this.#drop(token))
  }

  tokens(): readonly TokenStatus[] {
    return this.#desk.status()
  }

  async addToken(spec: TokenSpec): Promise<AddedToken> {
    if (this.#closed) throw new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')
    const added = await this.#desk.add(spec)
    this.#log.info('token.added', { type: spec.type, token: this.#label(added.token), port: added.port })
    return added
  }

  async removeToken(name: string): Promise<void> {
    const token = this.#tokens.find(name)
    if (token === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    this.#drop(token)
    if (token.type === 'reverse') await token.port?.close()
  }

  /** Admits one WebSocket, or answers why not. Never rejects. */
  async accept(knock: Knock, remoteAddress: string): Promise<void> {
    try {
      const admission = await authenticate(knock, {
        tokens: this.#tokens,
        clock: this.#options.clock,
        attempts: this.#attempts,
        address: remoteAddress,
      })
      // between the look-up and here the token may have gone
      if (this.#closed || !this.#tokens.has(admission.token)) return admission.close()
      if (this.#answers.resume(admission)) return
      makeRoom(admission)
      this.#admit(admission, remoteAddress)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_AUTH_REJECTED')
      this.#strangersLog.warn('link.rejected', { address: remoteAddress, code: error.code, reason: error.message })
    }
  }

  /** Takes nothing new, and lets what is under way come to its end, for `limitMs` at most. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const tokens = [...this.#tokens.all()]
    for (const token of tokens) {
      if (token.type === 'reverse') token.port?.stopAccepting()
      for (const link of token.links) link.drain()
    }
    await drained(() => tokens.flatMap((token) => sessionsOf(token)), limitMs, this.#options.clock)
  }

  /** Ends every link and port. */
  async close(): Promise<void> {
    this.#closed = true
    this.#instances.close()
    const added = this.#desk.close()
    const sessions = [...this.#tokens.all()].flatMap((token) => sessionsOf(token))
    const ports = [...this.#tokens.all()].map((token) => (token.type === 'reverse' ? token.port?.close() : undefined))
    await Promise.all([...sessions.map((session) => session.close()), ...ports, added])
  }

  #admit(admission: Admission, remoteAddress: string): void {
    const { token, role, instance, extensions } = admission
    this.#links += 1
    const id = this.#links
    const log = logWith(this.#log, { link: id })
    const limited = limitedLog(log, () => this.#options.clock.now())
    // warnings are the peer's doing; what it only uses is logged for debugging, all of it
    const peerLog: Logger = { ...limited, debug: (event, fields) => log.debug(event, fields) }
    const { clock, crypto, inflate, trace, pings } = this.#options
    const { transport, forget, drain } = this.#answers.admit(admission, () => this.#peerDrains(token, link))
    const handler: SessionHandler = {
      ...this.#handler(token, () => link, peerLog),
      control: (message) => this.#onControl(token, link, message, limited),
      suspended: (reason) => {
        log.info('link.suspended', { role, code: reason.code, reason: remoteText(reason.message) })
        token.suspended.add(link)
        this.#left(token, link)
      },
      resumed: () => {
        log.info('link.resumed', { role })
        token.suspended.delete(link)
        this.#came(token, link)
        if (this.#draining) link.drain()
      },
      close: (error) => {
        log.info('link.closed', { role, code: error?.code, reason: error && remoteText(error.message) })
        forget()
        if (token.suspended.delete(link)) this.#judgeInstance(token, link)
        else this.#left(token, link)
      },
    }
    const session = new Session(transport, {
      totals: this.#received,
      clock,
      crypto,
      inflate,
      log: peerLog,
      trace,
      pings,
      pongs: false,
      handler,
    })
    // an instance is one of its token; without a UUID each link is one of its own
    const identity = { group: `${token.token}\n${instance ?? id}`, returns: instance !== undefined }
    const link = new RelayLink(role, session, identity, { extensions, drain })
    log.info('link.admitted', { role, token: this.#label(token.token), address: remoteAddress })
    this.#came(token, link)
    session.start()
    if (this.#draining) link.drain()
  }

  /** What a link may do follows from its token alone. */
  #handler(token: Token, link: () => RelayLink, log: Logger): Pick<SessionHandler, 'connect' | 'unknownChannel'> {
    const unknown = new UnknownChannels(this.#options.clock)
    const common = {
      unknownChannel: (raw: Uint8Array, type: number): void => {
        const answer = unknown.answer(raw, type)
        if (answer !== undefined) link().session.control(answer)
      },
    }
    if (token.type === 'forward') {
      const exit = new Exit(this.#options.createExitDialer(), log)
      return { ...common, connect: (message) => this.#unlessDraining(link(), message, (s) => exit.connect(s, message)) }
    }
    if (token.type === 'connector') {
      return {
        ...common,
        connect: (message, raw) =>
          this.#unlessDraining(link(), message, (session) => this.#splice(token, session, message, raw, log)),
      }
    }
    return common
  }

  #unlessDraining({ session }: RelayLink, { channelId }: ConnectMessage, open: (session: Session) => void): void {
    if (!this.#draining) return open(session)
    session.control(encodeRefusal(channelId, new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')))
  }

  #splice(token: ConnectorToken, connector: Session, connect: ConnectMessage, raw: Uint8Array, log: Logger): void {
    const { providers } = token.reverse
    const choose = async (options: AbortOptions): Promise<Session> => {
      const link = await providers.choose(this.#options.connectorWaitMs, token.owner, options)
      return link.session
    }
    try {
      new Splice({ connector, connect, raw, choose, held: this.#held })
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      log.warn('splice.refused', { code: error.code, reason: error.message })
      // an id in use is the peer's mistake: an answer would be taken for the living channel's
      if (error.code !== 'ERR_MESSAGE_INVALID') connector.control(encodeRefusal(connect.channelId, error))
    }
  }

  #onControl(token: Token, link: RelayLink, message: Message, log: Logger): void {
    if (message.type === MessageType.Log) {
      log.debug('link.remote', { level: message.level, remote: remoteText(message.message) })
    } else if (message.type === MessageType.Connector) {
      try {
        if (token.type !== 'reverse') {
          throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'Unauthorized connector management attempt')
        }
        const name = this.#instances.handle(token, link, message)
        log.info('connector.changed', { operation: message.operation, token: this.#label(name) })
        link.session.control(encodeConnectorResponse({ requestId: message.requestId, success: true, token: name }))
      } catch (thrown) {
        const error = LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID')
        log.warn('connector.refused', { code: error.code, reason: error.message })
        link.session.control(
          encodeConnectorResponse({ requestId: message.requestId, success: false, error: error.message }),
        )
      }
    }
  }

  /** A link is there, or there again. */
  #came(token: Token, link: RelayLink): void {
    token.links.add(link)
    if (token.type === 'connector') tellPartners(token.reverse)
    if (token.type !== 'reverse') return
    this.#instances.arrived(link.group)
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
  #judgeInstance(token: Token, { group, returns }: RelayLink): void {
    if (token.type !== 'reverse') return
    const there = [...token.links, ...token.suspended].some((link) => link.group === group)
    if (!there) this.#instances.vanished(token, group, returns)
  }

  /** Takes a token and all that hangs on it out of the tables, and ends the links. */
  #drop(token: Token): void {
    if (!this.#tokens.remove(token)) return
    if (token.type === 'reverse') for (const connector of [...token.connectors]) this.#drop(connector)
    const reason = new LinkSocksError('ERR_SHUTTING_DOWN', 'the token was removed')
    for (const session of sessionsOf(token)) void session.close(reason)
    this.#log.info('token.removed', { type: token.type, token: this.#label(token.token) })
  }

  #label(token: string): string {
    return tokenLabel(token, this.#options.crypto)
  }
}
