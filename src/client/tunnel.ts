import { LinkSocksError } from '../errors.js'
import { Exit } from '../exit/exit.js'
import { type Logger, limitedLog, logWith, peerLog, remoteText } from '../log.js'
import { type DrainLimits, drained } from '../mux/drained.js'
import { HeldTotals, RECEIVED_LIMITS } from '../mux/flow/held-totals.js'
import type { PingTimes } from '../mux/keepalive.js'
import { ReplayBudget } from '../mux/resume/replay-budget.js'
import type { Session } from '../mux/session.js'
import { SessionDialer } from '../mux/session-dialer.js'
import { SessionPool } from '../mux/session-pool.js'
import type {
  AbortOptions,
  ByteStream,
  Clock,
  Crypto,
  DatagramSocket,
  Dialer,
  Inflate,
  Target,
  WatchWake,
} from '../ports.js'
import { type ConnectMessage, type Message, MessageType } from '../protocol/messages.js'
import { encodeRefusal } from '../protocol/refusal.js'
import { encodeSessionControl, SessionOp } from '../protocol/session-control.js'
import { newUuid } from '../protocol/uuid.js'
import { AssignedTokens } from './assigned-tokens.js'
import { type Admitted, connectLink, type OpenTransport, type Ticket } from './connect-link.js'
import { ConnectionKeeper, type LiveSession } from './connection-keeper.js'
import { ConnectorTokens } from './connector-tokens.js'
import { firstOf, serverText } from './failover.js'
import { LeftSessions } from './left-sessions.js'
import { LostChannels } from './lost-channels.js'
import { ReceivedPolicies } from './received-policies.js'
import { RemoteLog } from './remote-log.js'
import { ServedSession, type ServedSessionHandler } from './served-session.js'

/** How long a request waits for a link, in milliseconds, while none is up. */
export const LINK_WAIT_MS = 10_000
/** Requests that may wait for a link. */
export const MAX_WAITING_FOR_LINK = 4_096

export interface TunnelOptions {
  readonly openTransport: OpenTransport
  readonly clock: Clock
  readonly crypto: Crypto
  readonly inflate: Inflate
  readonly log: Logger
  /** One or more, in the order in which they are tried. */
  readonly urls: readonly string[]
  readonly token: string | undefined
  /** Offers this machine's network instead of using the far one. */
  readonly reverse: boolean
  readonly authInBand: boolean
  readonly connectorTokens: readonly string[]
  readonly reconnect: boolean
  readonly retryAuth: boolean
  /** Links to the server. */
  readonly threads: number
  readonly fastOpen: boolean
  readonly trace: boolean
  readonly pings?: PingTimes | undefined
  /** Of this program, for servers and peers that probe. */
  readonly version: string
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
  /** The way out of a provider, one for each session. */
  readonly createExitDialer: () => Dialer
  readonly watchWake?: WatchWake | undefined
}

/** A session that is up, and what opens its channels. */
interface PooledSession {
  readonly session: Session
  readonly dialer: Dialer
}

/** A client in any role: keeps its links up, and opens channels through them or serves those that are asked for. */
export class Tunnel implements Dialer {
  readonly #options: TunnelOptions
  readonly #log: Logger
  readonly #instance: Uint8Array
  readonly #received = new HeldTotals(RECEIVED_LIMITS)
  readonly #pool: SessionPool<PooledSession>
  readonly #keepers: readonly ConnectionKeeper[]
  /** The session of each connection, also while it is suspended. */
  readonly #served: (ServedSession | undefined)[] = []
  /** Every session that has not ended: those of draining servers, too. */
  readonly #sessions = new Set<Session>()
  readonly #left: LeftSessions
  #draining = false
  readonly #replays = new ReplayBudget()
  readonly #lost: LostChannels
  readonly #connectorTokens: ConnectorTokens
  readonly #tokens: AssignedTokens
  /** Settles when it ended for good: with the error that ended it, or `undefined` after `close()`. */
  readonly closed: Promise<LinkSocksError | undefined>
  #end: (error?: LinkSocksError) => void = () => {}
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #admitted = false
  #saidNoFastOpen = false

  constructor(options: TunnelOptions) {
    this.#options = options
    this.#log = options.log
    this.closed = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#instance = newUuid(options.crypto)
    this.#pool = new SessionPool({
      clock: options.clock,
      maxWaiting: MAX_WAITING_FOR_LINK,
      noneText: 'no link to the server',
      crowdedText: 'too many requests wait for the link to the server',
    })
    this.#lost = new LostChannels(options.clock)
    this.#tokens = new AssignedTokens(options.token, options.log)
    this.#connectorTokens = new ConnectorTokens(options.connectorTokens, options.log)
    this.#left = new LeftSessions({
      ...{ clock: options.clock, crypto: options.crypto, log: options.log },
      connect: (ticket, signal) => this.#admit(ticket.url, ticket, signal),
      dismiss,
    })
    this.#keepers = Array.from({ length: options.threads }, (_, index) => this.#keeper(index))
  }

  /** Connector tokens that the server knows, generated ones included. */
  get connectorTokens(): readonly string[] {
    return this.#connectorTokens.tokens
  }

  /** Links that are up. */
  get links(): number {
    return this.#pool.size
  }

  /**
   * Begins to connect, and settles with the first link.
   * @throws {LinkSocksError} what ended it for good before that, ERR_CANCELLED after `close()`
   */
  async start(): Promise<void> {
    if (this.#closing === undefined) this.#running ??= this.#run()
    const ended = this.closed.then((error) => {
      throw error ?? new LinkSocksError('ERR_CANCELLED', 'the client was closed')
    })
    // the pool closes first, with a reason for those who dial
    const first = this.#pool.choose().catch(() => ended)
    await Promise.race([first, ended])
  }

  /** Lets what is under way come to its end, within `limits`; nothing new begins. */
  async drain(limits: DrainLimits): Promise<void> {
    this.#draining = true
    this.#pool.close(shuttingDown())
    for (const served of this.#served) served?.drain()
    await drained(() => [...this.#sessions], limits, this.#options.clock)
  }

  /** Ends every link and wait; `reason` is what `closed` then tells. Idempotent; all callers share one promise. */
  close(reason?: LinkSocksError): Promise<void> {
    this.#closing ??= this.#close(reason)
    return this.#closing
  }

  dial(target: Target, options?: AbortOptions): Promise<ByteStream> {
    return this.#open((dialer) => dialer.dial(target, options), options)
  }

  associate(options?: AbortOptions): Promise<DatagramSocket> {
    return this.#open((dialer) => dialer.associate(options), options)
  }

  #open<T>(open: (dialer: Dialer) => Promise<T>, { signal }: AbortOptions = {}): Promise<T> {
    return this.#pool.open(({ dialer }) => open(dialer), { waitMs: LINK_WAIT_MS, signal })
  }

  /** The first link that ends for good ends them all. */
  async #run(): Promise<void> {
    const error = await Promise.race(this.#keepers.map((keeper) => keeper.run()))
    void this.close(error)
  }

  async #close(reason: LinkSocksError | undefined): Promise<void> {
    this.#pool.close(reason ?? new LinkSocksError('ERR_SESSION_CLOSED', 'the client was closed'))
    this.#left.close()
    await Promise.all(this.#keepers.map((keeper) => keeper.close()))
    await Promise.all([...this.#sessions].map((session) => session.close()))
    this.#end(reason)
  }

  #keeper(index: number): ConnectionKeeper {
    const { clock, crypto, reconnect, retryAuth, watchWake } = this.#options
    const log = this.#options.threads > 1 ? logWith(this.#log, { link: index + 1 }) : this.#log
    return new ConnectionKeeper({
      open: (signal) => this.#connect(index, log, signal),
      clock,
      crypto,
      log,
      reconnect,
      retryAuth,
      watchWake,
      wasAdmitted: () => this.#admitted,
    })
  }

  async #connect(index: number, log: Logger, signal: AbortSignal): Promise<LiveSession> {
    const { urls } = this.#options
    const ticket = this.#served[index]?.ticket
    if (this.#draining && ticket === undefined) throw shuttingDown()
    const admitted = await firstOf(urls, {
      connect: (url) => this.#admit(url, ticket, signal),
      failed: ({ code, message }, url) => {
        if (urls.length > 1) log.info('link.failover', { server: serverText(url), code, reason: remoteText(message) })
      },
      signal,
    })
    return this.#resume(admitted, index) ?? this.#serve(admitted, index, log)
  }

  /** @throws {LinkSocksError} as connectLink() */
  #admit(url: string, ticket: Ticket | undefined, signal: AbortSignal): Promise<Admitted> {
    const { reverse, authInBand, openTransport, clock, crypto, reconnect, resumeTimeoutMs } = this.#options
    const resumable = reconnect && resumeTimeoutMs > 0
    const credentials = { reverse, authInBand, instance: this.#instance, resumable }
    const surroundings = { openTransport, clock, crypto }
    return this.#tokens.connect(url, ticket, (token, fitting) =>
      connectLink({ ...credentials, url, token, ticket: fitting }, surroundings, { signal }),
    )
  }

  /** Goes on with the session of this connection. If its server has forgotten it, it ends; with another server it is left to end. */
  #resume(admitted: Admitted, index: number): LiveSession | undefined {
    const served = this.#served[index]
    const live = admitted.received === undefined ? undefined : served?.resume(admitted)
    if (live !== undefined) return live
    if (served?.draining === false) {
      if (served.url !== admitted.url) this.#left.keep(served)
      else served.session.abort(new LinkSocksError('ERR_LINK_LOST', 'the server does not know the session any more'))
    }
    if (admitted.received === undefined) return undefined
    // it was given up here while the server went on with it
    dismiss(admitted)
    throw new LinkSocksError('ERR_LINK_LOST', 'the session ended before the server went on with it')
  }

  #serve(admitted: Admitted, index: number, log: Logger): LiveSession {
    const { clock, crypto, inflate, trace, pings, version, reverse, resumeTimeoutMs } = this.#options
    this.#admitted = true
    const limited = limitedLog(log, () => clock.now())
    const channelLog = peerLog(log, limited)
    const shared = { clock, crypto, inflate, trace, pings, version, totals: this.#received }
    const environment = { ...shared, log: channelLog, pongs: true }
    const resumable = { clock, timeoutMs: resumeTimeoutMs, budget: this.#replays }
    const served = new ServedSession(admitted, resumable, environment)
    const { session } = served
    const dialer = new SessionDialer(session, { fastOpen: this.#fastOpen(admitted.keepsOrder) })
    const remoteLog = new RemoteLog(log, clock)
    this.#served[index] = served
    this.#sessions.add(session)
    // a server that knows sessions ends the channels of a lost one by itself
    if (admitted.sessionId !== undefined) this.#lost.forget(admitted.url)
    for (const message of admitted.early) this.#onControl(message, served, remoteLog)
    const live = served.start({
      ...this.#rights(session, channelLog),
      ...this.#life({ session, dialer }, log),
      control: (message) => this.#onControl(message, served, remoteLog),
      close: () => this.#ended(served, log),
      // one that drains is about to be gone itself
      lost: (channels) => served.draining || this.#lost.remember(admitted.url, channels),
    })
    this.#lost.tell(admitted.url, session)
    if (reverse) this.#connectorTokens.join(served)
    return live
  }

  /** What the server may ask for: channels of a provider, and of nobody else. */
  #rights(session: Session, log: Logger): Pick<ServedSessionHandler, 'connect' | 'policy'> {
    if (!this.#options.reverse) return {}
    const policies = new ReceivedPolicies(log)
    const exit = new Exit({
      dialer: this.#options.createExitDialer(),
      log,
      admit: (message) => policies.judgeOf(message),
      observe: (message) => policies.observe(message),
    })
    return {
      connect: (message) => this.#onConnect(exit, session, message),
      policy: (raw) => policies.receive(raw),
    }
  }

  #life(pooled: PooledSession, log: Logger): Pick<ServedSessionHandler, 'up' | 'down' | 'forgotten'> {
    return {
      up: () => {
        log.info('link.up', { role: this.#options.reverse ? 'provider' : 'client' })
        this.#pool.add(pooled)
      },
      down: (error) => {
        this.#pool.remove(pooled)
        log.info('link.down', { code: error?.code, reason: error && remoteText(error.message) })
      },
      forgotten: (error) => log.warn('session.lost', { code: error.code, reason: remoteText(error.message) }),
    }
  }

  #ended(served: ServedSession, log: Logger): void {
    const { session } = served
    if (session.usage.unknownData > 0) log.debug('data.dropped', { count: session.usage.unknownData })
    this.#sessions.delete(session)
    this.#connectorTokens.leave(served)
  }

  #onConnect(exit: Exit, session: Session, message: ConnectMessage): void {
    if (this.#draining) session.control(encodeRefusal(message.channelId, shuttingDown()))
    else exit.connect(session, message)
  }

  #fastOpen(keepsOrder: boolean): boolean {
    if (!this.#options.fastOpen || keepsOrder) return this.#options.fastOpen
    if (!this.#saidNoFastOpen) this.#log.info('fastopen.off', { reason: 'this server can lose early data' })
    this.#saidNoFastOpen = true
    return false
  }

  #onControl(message: Message, served: ServedSession, remoteLog: RemoteLog): void {
    if (message.type === MessageType.Log) remoteLog.write(message)
    else if (message.type === MessageType.Partners) remoteLog.partners(message)
    else if (message.type === MessageType.ConnectorResponse) this.#connectorTokens.answered(served, message)
  }
}

/** Tells a server that knows sessions that this one is over, and reads on for its close frame. */
function dismiss({ transport, sessionId }: Admitted): void {
  if (sessionId !== undefined) transport.send(encodeSessionControl({ op: SessionOp.End }))
  transport.start({ message: () => {}, activity: () => {}, drain: () => {}, close: () => {} })
  transport.close(1000, '')
}

function shuttingDown(): LinkSocksError {
  return new LinkSocksError('ERR_SHUTTING_DOWN', 'the client is shutting down')
}
