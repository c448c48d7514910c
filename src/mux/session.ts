import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Clock, Crypto, Inflate, MessageTransport, Timer, TransportClose } from '../ports.js'
import {
  type ConnectMessage,
  decodeMessage,
  encodeDisconnect,
  type Message,
  MessageType,
  messageType,
  PROTOCOL_VERSION,
  readChannelKey,
} from '../protocol/messages.js'
import { encodeRefusal } from '../protocol/refusal.js'
import { type ChannelKey, channelKey } from '../protocol/uuid.js'
import { lossOf } from '../streams/loss.js'
import type { ChannelEntry, ChannelHost, HostEnvironment } from './channel/channel-host.js'
import { BusyReaders } from './flow/busy-readers.js'
import { HeldTotals, RECEIVED_LIMITS } from './flow/held-totals.js'
import { Pace } from './flow/pace.js'
import { ReadGate } from './flow/read-gate.js'
import { RoundTrips } from './flow/round-trips.js'
import { type Lane, Scheduler, type Source } from './flow/scheduler.js'
import { Keepalive, type PingTimes } from './keepalive.js'
import { ProbeAnswers } from './probe-answers.js'
import { SessionClock } from './session-clock.js'
import { SessionUsage } from './session-usage.js'

/** Channels one session may have at a time, each way. */
export const MAX_CHANNELS_PER_SESSION = 20_000
/** How long `close()` waits for queued messages to leave, and then for the peer's part of the close handshake. */
export const CLOSE_FLUSH_MS = 2_000

/** What a peer in a certain role may ask for. A missing method means that it may not. */
export interface SessionHandler {
  /** The peer asks for a channel. `raw` is the message as it came, for relays. */
  connect?(message: ConnectMessage, raw: Uint8Array): void
  /** A message that belongs to no channel: Connector, ConnectorResponse, Log, Partners, Direct*. */
  control?(message: Message): void
  /** A Policy message, for providers. */
  policy?(raw: Uint8Array): void
  /** A message for a channel that this end doesn't know (any more). */
  unknownChannel?(raw: Uint8Array, type: number): void
  /** The connection is lost and may come back: no new channels until `resumed()`. */
  suspended?(reason: LinkSocksError): void
  resumed?(): void
  /** The peer is about to shut down: it takes no new channels. */
  draining?(): void
  /** The session was lost with these base channels, of whose end its peer may not hear. Before `close()`. */
  lost?(channels: readonly ChannelKey[]): void
  /** The session is gone. Exactly once; without `error` it was closed from this end or in order. */
  close(error?: LinkSocksError): void
}

export interface SessionOptions extends HostEnvironment {
  /** Also send unsolicited pongs (clients do, for deployed servers). */
  readonly pongs: boolean
  /** @default as deployed programs do */
  readonly pings?: PingTimes | undefined
  /** Shared by the sessions of one server or client. @default one of its own */
  readonly totals?: HeldTotals | undefined
  /** Logs the type of every message. */
  readonly trace?: boolean | undefined
  /** What a peer that probes is answered with. @default probes are not answered */
  readonly version?: string | undefined
}

/** Channels over one transport: dispatch, scheduling, liveness. Knows nothing of roles; inert until `start()`. */
export class Session implements ChannelHost {
  readonly clock: SessionClock
  readonly crypto: Crypto
  readonly inflate: Inflate
  readonly log: Logger
  readonly gate: ReadGate
  readonly totals: HeldTotals
  readonly roundTrips: RoundTrips
  readonly busyReaders: BusyReaders
  readonly usage: SessionUsage
  /** Goes on while the session is suspended. */
  readonly #time: Clock
  readonly #transport: MessageTransport
  readonly #scheduler: Scheduler
  readonly #keepalive: Keepalive
  readonly #trace: boolean
  readonly #probes: ProbeAnswers | undefined
  readonly #channels = new Map<ChannelKey, ChannelEntry>()
  #used = false
  #transportClosed = (): void => {}
  readonly #gone = new Promise<void>((resolve) => {
    this.#transportClosed = resolve
  })
  #handler: SessionHandler | undefined
  #receivedBytes = 0
  #ended = false
  #reason: LinkSocksError | undefined
  #otherVersion = false
  #closing: Promise<void> | undefined

  /** @param transport authenticated and not started yet (a released HandshakeTransport). */
  constructor(transport: MessageTransport, options: SessionOptions) {
    this.clock = new SessionClock(options.clock)
    this.#time = options.clock
    this.crypto = options.crypto
    this.inflate = options.inflate
    this.log = options.log
    this.totals = options.totals ?? new HeldTotals(RECEIVED_LIMITS)
    const receivedBytes = (): number => this.#receivedBytes
    this.roundTrips = new RoundTrips(this.clock, receivedBytes)
    this.busyReaders = new BusyReaders(this.clock)
    this.#transport = transport
    this.#trace = options.trace ?? false
    this.#probes = options.version === undefined ? undefined : new ProbeAnswers(options.clock, options.version)
    this.#scheduler = new Scheduler(transport, new Pace(this.clock), () =>
      this.abort(new LinkSocksError('ERR_LIMIT', 'the peer does not read what it asked for')),
    )
    this.#keepalive = new Keepalive({
      transport,
      clock: options.clock,
      pongs: options.pongs,
      times: options.pings,
      output: () => this.#scheduler.output(),
      dead: () => transport.lose(new LinkSocksError('ERR_LINK_TIMEOUT', 'nothing arrived on the link for too long')),
    })
    this.gate = new ReadGate(transport, options.clock, this.#keepalive)
    this.usage = new SessionUsage(receivedBytes, this.roundTrips, this.#scheduler, this.#keepalive)
  }

  /**
   * Begins to receive, to ping, and to call `handler`. A session that has ended before says so at once.
   * @throws {TypeError} when it was called before
   */
  start(handler: SessionHandler): void {
    if (this.#handler !== undefined) throw new TypeError('start() was called before')
    this.#handler = handler
    if (!this.#ended) this.#keepalive.start()
    if (this.#ended) this.#contain(() => handler.close(this.#reason))
    this.#transport.start({
      message: (data) => this.#receive(data),
      activity: () => this.#keepalive.activity(),
      pong: () => this.#keepalive.pong(),
      drain: () => this.#scheduler.run(),
      close: (info) => this.#onClose(info),
      suspended: (reason) => this.#onSuspended(reason),
      resumed: () => this.#onResumed(),
      draining: () => this.#ended || this.#contain(() => this.#handler?.draining?.()),
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether it takes new channels. */
  get available(): boolean {
    return !this.#ended && this.#closing === undefined && !this.clock.stopped
  }

  /**
   * Pings the peer; calls at the same time share one ping. @returns whether a frame of any kind comes within `limitMs`, or the
   * peer takes what has filled the transport; `false` at once when it is closed meanwhile
   */
  answers(limitMs: number): Promise<boolean> {
    return this.available ? this.#keepalive.answers(limitMs) : Promise.resolve(false)
  }

  /**
   * Settles when the peer has received all that was sent so far, as its answer to a ping shows, when the connection is lost or the
   * session ends, and after `limitMs` at the latest.
   */
  async passed(limitMs: number): Promise<void> {
    if (this.available) await this.#keepalive.passes(limitMs)
  }

  /** Asks the peer for a frame, where none came lately: it is about to be given work. */
  ask(): void {
    if (this.available) this.#keepalive.ask()
  }

  /** Calls back once the peer is {@link silent}, if from now on it sends nothing. */
  whenSilent(callback: () => void): Timer {
    return this.#keepalive.whenOwes(callback)
  }

  /** The peer was asked and owes its answer for so long that others should be given work first. */
  get silent(): boolean {
    return this.#keepalive.owes
  }

  /** Channels now open, pending ones included. */
  get channels(): number {
    return this.#channels.size
  }

  /** Whether it ever had a channel. */
  get used(): boolean {
    return this.#used
  }

  /** Bytes held for local readers that have no credit. */
  get heldBytes(): number {
    return this.gate.bufferedBytes
  }

  control(message: Uint8Array): void {
    if (this.#trace) this.log.debug('message.sent', { type: message[1], bytes: message.byteLength })
    this.#scheduler.control(message)
  }

  lane(source: Source): Lane {
    return this.#scheduler.lane(source)
  }

  recycle(data: Uint8Array): void {
    this.#transport.recycle(data)
  }

  attach(key: ChannelKey, entry: ChannelEntry): void {
    if (!this.available) throw new LinkSocksError('ERR_SESSION_CLOSED', 'the link to the far end is closed')
    if (this.#channels.has(key)) throw new LinkSocksError('ERR_MESSAGE_INVALID', 'the channel id is in use')
    if (this.#channels.size >= MAX_CHANNELS_PER_SESSION) {
      throw new LinkSocksError('ERR_LIMIT', `more than ${MAX_CHANNELS_PER_SESSION} channels on one link`)
    }
    this.#channels.set(key, entry)
    this.#used = true
  }

  detach(key: ChannelKey): void {
    this.#channels.delete(key)
  }

  /** Ends every channel with `reason`, tells the peer, and closes the transport in order. */
  close(reason: LinkSocksError = new LinkSocksError('ERR_SHUTTING_DOWN', 'shutting down')): Promise<void> {
    if (this.#closing === undefined) {
      let done = (): void => {}
      // stands before any channel is told: a channel's owner may call close() again, or try to open another one
      this.#closing = new Promise((resolve) => {
        done = resolve
      })
      this.#keepalive.giveUp()
      void this.#close(reason).then(done)
    }
    return this.#closing
  }

  /** Ends the session and its transport at once. Idempotent. */
  abort(reason: LinkSocksError): void {
    if (this.#ended) return
    // first: the transport reports its end at once, without the reason
    this.#end(reason)
    this.#transport.abort()
  }

  async #close(reason: LinkSocksError): Promise<void> {
    if (this.#ended) return
    for (const entry of [...this.#channels.values()]) this.#contain(() => entry.sessionClosing(reason))
    // nothing leaves a session without a connection
    if (!this.clock.stopped) await this.#within(CLOSE_FLUSH_MS, this.#scheduler.idle())
    // first: a transport that has no connection reports its end at once
    this.#end()
    this.#transport.close(1000, '')
    // a process that ends at once would cut the close handshake
    await this.#within(CLOSE_FLUSH_MS, this.#gone)
  }

  #within(limitMs: number, wait: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#time.after(limitMs, resolve)
      void wait.finally(() => timer.cancel()).then(resolve)
    })
  }

  #onSuspended(reason: LinkSocksError): void {
    if (this.#ended) return
    this.#keepalive.stop()
    this.clock.stop()
    this.#contain(() => this.#handler?.suspended?.(reason))
  }

  #onResumed(): void {
    if (this.#ended) return
    this.#keepalive.restart()
    this.clock.resume()
    this.#contain(() => this.#handler?.resumed?.())
  }

  #onClose(info: TransportClose): void {
    this.#end(lossOf(info))
    this.#transportClosed()
  }

  #end(error?: LinkSocksError): void {
    if (this.#ended) return
    this.#ended = true
    this.#reason = error
    this.#keepalive.stop()
    this.gate.stop()
    this.#scheduler.stop()
    const entries = [...this.#channels.values()]
    this.#tellLost()
    this.#channels.clear()
    const reason = error ?? new LinkSocksError('ERR_SESSION_CLOSED', 'the link was closed')
    for (const entry of entries) this.#contain(() => entry.sessionClosed(reason))
    this.#contain(() => this.#handler?.close(error))
    // one that is over does not come back: what still waited for that goes on
    this.#contain(() => this.clock.resume())
  }

  #tellLost(): void {
    if (this.#handler?.lost === undefined) return
    const keys = [...this.#channels].flatMap(([key, { base }]) => (base === true ? [key] : []))
    if (keys.length > 0) this.#contain(() => this.#handler?.lost?.(keys))
  }

  #receive(raw: Uint8Array): void {
    if (this.#ended) return
    this.#receivedBytes += raw.byteLength
    try {
      this.#dispatch(raw)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL')
      this.log.warn('session.violation', { code: error.code, reason: error.message })
      this.abort(error)
    }
  }

  #dispatch(raw: Uint8Array): void {
    const type = messageType(raw)
    if (this.#trace) this.log.debug('message.received', { type, bytes: raw.byteLength })
    this.#noteVersion(raw)
    switch (type) {
      case MessageType.Data:
      case MessageType.ConnectResponse:
      case MessageType.Disconnect: {
        const entry = this.#channels.get(readChannelKey(raw))
        if (entry !== undefined) return entry.message(raw, type)
        if (type === MessageType.Data) this.usage.unknownData += 1
        return this.#handler?.unknownChannel?.(raw, type)
      }
      case MessageType.Connect:
        return this.#onConnect(raw)
      case MessageType.Auth:
      case MessageType.AuthResponse:
        return // after authentication: ignored (docs/protocol.md A.2)
      case MessageType.Policy:
        return this.#handler?.policy?.(raw)
      default:
        return this.#onControl(raw)
    }
  }

  /** Another minor version is accepted and logged, once (docs/protocol.md A.1). */
  #noteVersion(raw: Uint8Array): void {
    if (raw[0] === PROTOCOL_VERSION || this.#otherVersion) return
    this.#otherVersion = true
    this.log.info('session.version', { version: raw[0] })
  }

  #onConnect(raw: Uint8Array): void {
    const message = decodeMessage(raw)
    if (message?.type !== MessageType.Connect) return
    if (message.resume) return this.#refuseResume(message.channelId)
    if (this.#handler?.connect !== undefined) return this.#handler.connect(message, raw)
    this.log.warn('session.connect.refused', { reason: 'the role of the peer does not allow it to open channels' })
    const error = new LinkSocksError('ERR_DIAL_NOT_ALLOWED', 'not allowed: this peer may not open channels')
    this.control(encodeRefusal(message.channelId, error))
  }

  /** Channels end with their session here; opening another would give the new connection the middle of an old stream. */
  #refuseResume(channelId: Uint8Array): void {
    if (this.#channels.has(channelKey(channelId))) return
    this.log.debug('session.resume.refused')
    this.control(encodeDisconnect({ channelId, error: 'channel expired' }))
  }

  /** Messages outside of channels are optional: a broken one costs nothing but itself. */
  #onControl(raw: Uint8Array): void {
    try {
      const message = decodeMessage(raw)
      if (message === undefined) return
      const pong = this.#probes?.answer(message)
      if (pong !== undefined) this.control(pong)
      this.#handler?.control?.(message)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_MESSAGE_INVALID')
      this.log.warn('session.message.ignored', { code: error.code, reason: error.message })
    }
  }

  /** One entry's failure must not keep the others from hearing of the end. */
  #contain(action: () => void): void {
    try {
      action()
    } catch (thrown) {
      this.log.error('session.failure', { reason: thrown instanceof Error ? thrown.message : String(thrown) })
    }
  }
}
