import { type ErrorCode, LinkSocksError } from '../../errors.js'
import type { DatagramGate } from '../../exit/udp/datagram-gate.js'
import { Meter } from '../../mux/channel/observer.js'
import { SendWindow } from '../../mux/flow/window.js'
import type { Target } from '../../ports.js'
import { ControlOp, decodeControl, ResetCode } from '../../protocol/control.js'
import { EARLY_DATA_BYTES } from '../../protocol/limits.js'
import { ChannelProtocol, Compression, decodeMessage, MessageType, payloadBytes } from '../../protocol/messages.js'
import { encodeRefusal, errorOfRefusal } from '../../protocol/refusal.js'
import { channelKey } from '../../protocol/uuid.js'
import type { TrackedStream } from '../observe/streams.js'
import { SpliceEnd, type SpliceEndEvents } from './splice-end.js'
import { Linger } from './splice-linger.js'
import { SpliceOpening } from './splice-opening.js'
import {
  abortOf,
  checkConnect,
  checkCredit,
  checkSmall,
  datagramGate,
  inOurVersion,
  isOrderlyDisconnect,
  type SpliceOptions,
  windowUpdate,
} from './splice-rules.js'

/** What the ends of a channel are told that is aborted here. */
const ABORT_CODES: Partial<Record<ErrorCode, number>> = {
  ERR_FLOW_CONTROL: ResetCode.FlowControl,
  ERR_DIAL_NOT_ALLOWED: ResetCode.Unspecified,
  ERR_LIMIT: ResetCode.Unspecified,
}

/** Of a message that names no destination. */
const NOWHERE: Target = { host: '', port: 0 }

/**
 * opening --a provider has it alone--> taken --Data of the provider--> implied --ConnectResponse--> answered
 * any of them --both ends done, abort, loss--> over
 *
 * `opening`: no provider has the channel alone ({@link SpliceOpening}). `implied`: the provider sent Data before its answer, which
 * may never come; both ends go on without credit then.
 */
type Phase = 'opening' | 'taken' | 'implied' | 'answered' | 'over'

/**
 * Joins one channel of a connector's session with the same channel of a provider's: messages pass byte for byte. It
 * reads just enough to enforce credit, to know the channel's end and to bound what waits (docs/protocol.md A.5, B.2).
 */
export class Splice {
  readonly #options: SpliceOptions
  readonly #datagrams: boolean
  readonly #offered: number | undefined
  readonly #connector: SpliceEnd
  #opening: SpliceOpening | undefined
  #provider: SpliceEnd | undefined
  /** Judges the datagrams of the connector. */
  readonly #gate: DatagramGate | undefined
  #earlyBytes = 0
  #phase: Phase = 'opening'
  readonly #linger: Linger
  readonly #meter = new Meter()
  readonly #stream: TrackedStream
  /** Why one end aborted, while what it sent before still drains. */
  #reset: LinkSocksError | undefined

  /**
   * @throws {LinkSocksError} ERR_LIMIT, ERR_SESSION_CLOSED, ERR_MESSAGE_INVALID (the connector uses this id already),
   *   ERR_MESSAGE_TOO_LARGE, ERR_DIAL_UNSUPPORTED (neither tcp nor udp)
   */
  constructor(options: SpliceOptions) {
    checkConnect(options.connect, options.raw)
    this.#options = options
    this.#datagrams = options.connect.protocol === ChannelProtocol.Udp
    this.#offered = options.connect.trailer?.streamControl
    this.#linger = new Linger(options.connector.clock, {
      drained: () => this.#drained,
      over: () => this.#finish(),
      stalled: () => this.#stalled(),
      // what a rate holds back moves in time
      thereMs: () => (this.#isHeldBack ? 0 : Math.min(this.#connector.thereMs, thereMsOf(this.#provider))),
    })
    const { channelId } = options.connect
    const channel = { id: channelId, key: channelKey(channelId), datagrams: this.#datagrams }
    const { connector, held, shaping } = options
    this.#connector = new SpliceEnd(connector, held, channel, { shaping, direction: 'down' })
    this.#connector.tell(this.#eventsOf(this.#connector, () => this.#provider))
    const stream = options.observe(this.#meter, { abort: (reason) => this.#abort(reason) })
    this.#stream = stream
    if (options.access !== undefined && this.#datagrams) {
      this.#gate = datagramGate(options.access, options.connector.clock, (raw) => this.#passDatagram(raw))
    }
    this.#opening = new SpliceOpening(
      options,
      { channel, connector: this.#connector, stream },
      { taken: (provider) => this.#taken(provider), failed: (error, answer) => this.#failed(error, answer) },
    )
  }

  get #answered(): boolean {
    return this.#phase === 'answered'
  }

  get #over(): boolean {
    return this.#phase === 'over'
  }

  get #drained(): boolean {
    return this.#connector.drained && this.#provider?.drained !== false
  }

  #eventsOf(end: SpliceEnd, other: () => SpliceEnd | undefined): SpliceEndEvents {
    return {
      message: (raw, type) => this.#onMessage(end, other(), raw, type),
      passed: (bytes) => {
        other()?.release(bytes)
        this.#linger.moved()
        this.#finishIfDone()
      },
      // a stream loses nothing, and is counted as it comes
      taken: this.#datagrams ? (raw) => this.#meter.add(payloadBytes(raw), end !== this.#connector) : undefined,
      // anything else may be wanted again
      sent: (raw) => raw[1] === MessageType.Data && other()?.session.recycle(raw),
      granted: (credit) => this.#grantLater(end, other(), credit),
      refused: (why) => this.#abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', why)),
      stalled: () => this.#stalled(),
      otherMs: () => thereMsOf(other()),
      otherHeldBack: () => other()?.heldBack === true,
      lost: (error, closing) => this.#onLost(end, other(), error, closing),
    }
  }

  #taken(provider: SpliceEnd): void {
    this.#provider = provider
    this.#opening = undefined
    this.#phase = 'taken'
    provider.tell(this.#eventsOf(provider, () => this.#connector))
    if (this.#connector.done) this.#linger.begin()
  }

  #failed(error: LinkSocksError, answer = encodeRefusal(this.#options.connect.channelId, error)): void {
    this.#connector.control(answer)
    this.#finish(error)
  }

  #onMessage(from: SpliceEnd, other: SpliceEnd | undefined, raw: Uint8Array, type: number): void {
    // after its Disconnect an end has nothing more to say
    if (from.done || this.#over) return
    const to = other ?? this.#opening?.pin()
    try {
      if (type === MessageType.Data) return this.#onData(from, to, inOurVersion(raw))
      checkSmall(raw)
      if (type === MessageType.Disconnect) this.#onDisconnect(from, to, inOurVersion(raw))
      else if (from !== this.#connector) this.#onAnswer(from, inOurVersion(raw))
    } catch (thrown) {
      this.#abort(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  #onData(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array): void {
    const message = decodeMessage(raw)
    if (message?.type !== MessageType.Data || to?.gone === true) return
    if (this.#datagrams) return this.#onDatagram(from, to, raw, message.target)
    const control = message.compression === Compression.Control
    if (!control) this.#checkCredit(from, message.data.byteLength)
    const urgent = control && this.#onControl(from, to, message.data)
    this.#pass(from, to, raw, urgent)
  }

  #onDatagram(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array, target = NOWHERE): void {
    if (from.crowded) return
    if (from !== this.#connector) return this.#pass(from, to, raw, false)
    if (this.#options.allowsDatagram?.(target) === false) return
    if (this.#gate === undefined) this.#pass(from, to, raw, false)
    else this.#gate.send(raw, target)
  }

  /** Goes on with a datagram that was judged, perhaps later than it came. */
  #passDatagram(raw: Uint8Array): void {
    const from = this.#connector
    const to = this.#provider ?? this.#opening?.pin()
    if (this.#over || to?.gone === true || from.crowded) return
    try {
      this.#pass(from, to, raw, false)
    } catch (thrown) {
      this.#abort(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  #pass(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array, urgent: boolean): void {
    from.hold(raw)
    if (to === undefined) this.#opening?.keep(raw)
    else to.send(raw, urgent)
  }

  /** @returns whether the frame goes ahead of the channel's data. */
  #onControl(from: SpliceEnd, to: SpliceEnd | undefined, data: Uint8Array): boolean {
    const frame = decodeControl(data)
    if (frame?.op === ControlOp.WindowUpdate) this.#onCredit(from, to, frame.credit, data)
    else if (frame?.op === ControlOp.Reset) {
      // control frames wait for the answer (docs/protocol.md B.2)
      if (!this.#answered) throw new LinkSocksError('ERR_CHANNEL_PROTOCOL', 'RESET before the answer')
      to?.discard()
      from.releaseAll()
    } else return frame?.op === ControlOp.Ping || frame?.op === ControlOp.Pong
    return true
  }

  /** What is kept back goes on as 0: the far end answers, and there is no more to send for now. */
  #onCredit(from: SpliceEnd, to: SpliceEnd | undefined, credit: number, data: Uint8Array): void {
    if (to !== undefined && to.grant(credit) < credit) data.fill(0, 1)
    // whether it still knows the channel, an end that is away can't say
    if (credit === 0 && to?.away) from.control(windowUpdate(this.#options.connect.channelId, 0))
  }

  #grantLater(end: SpliceEnd, other: SpliceEnd | undefined, credit: number): void {
    if (this.#over) return
    const raw = windowUpdate(this.#options.connect.channelId, credit)
    try {
      other?.hold(raw)
      end.send(raw, true)
    } catch (thrown) {
      // this channel's fault alone: whoever released something elsewhere must not hear of it
      this.#abort(LinkSocksError.from(thrown, 'ERR_LIMIT'))
    }
  }

  /** Counts bytes as they stand on the wire; gzip, which none of our ends sends with credit, counts compressed. */
  #checkCredit(from: SpliceEnd, bytes: number): void {
    this.#meter.add(bytes, from === this.#connector)
    if (!this.#answered && from === this.#connector) {
      this.#earlyBytes += bytes
      if (this.#offered === undefined || this.#phase === 'implied' || this.#earlyBytes <= EARLY_DATA_BYTES) return
      throw new LinkSocksError('ERR_FLOW_CONTROL', 'the peer sent too much before the answer')
    }
    from.credit?.spend(bytes)
    if (this.#phase === 'taken') this.#phase = 'implied'
    this.#stream.opened()
    // before the answer it is not known whether the credit counts
    if (this.#answered) checkCredit(from.credit)
  }

  #onAnswer(provider: SpliceEnd, raw: Uint8Array): void {
    const message = decodeMessage(raw)
    if (message?.type !== MessageType.ConnectResponse || this.#answered) return
    this.#phase = 'answered'
    const credit = message.trailer?.streamControl
    if (credit !== undefined && provider.credit !== undefined) {
      this.#connector.credit = new SendWindow(credit)
      this.#connector.credit.spend(this.#earlyBytes)
      this.#connector.boundByCredit()
      provider.boundByCredit()
    } else provider.credit = undefined
    this.#connector.control(raw)
    if (!message.success) return this.#finish(errorOfRefusal(message.error, message.trailer?.rep))
    this.#stream.opened()
    checkCredit(provider.credit)
  }

  #onDisconnect(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array): void {
    const orderly = isOrderlyDisconnect(raw)
    from.done = true
    if (to === undefined) {
      // without stream control, an end behind early data means that this was all
      if (!orderly || this.#earlyBytes === 0 || this.#offered !== undefined) return this.#finish()
      return this.#opening?.keep(raw)
    }
    // a provider that never got the Connect knows nothing of the channel
    if (!orderly && to === this.#provider && !to.reached) return this.#finish()
    if (!orderly) {
      this.#reset ??= abortOf(from === this.#connector && !this.#answered)
      // an abort does not wait behind data
      to.discard()
      from.releaseAll()
    }
    this.#linger.begin()
    to.send(raw)
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (this.#connector.done && this.#provider?.done && this.#drained) this.#finish()
  }

  #onLost(end: SpliceEnd, other: SpliceEnd | undefined, error: LinkSocksError, closing: boolean): void {
    if (this.#over) return
    if (closing) this.#tell(end, error, ResetCode.ShuttingDown)
    // after its Disconnect an end owes nothing more: what it sent still drains to the other
    else if (end.done && other !== undefined && !other.drained) {
      // what waited towards the lost end is gone with it
      other.releaseAll()
      return this.#linger.begin()
    }
    if (other !== undefined) this.#tell(other, error, ResetCode.SessionLost)
    this.#finish(end === this.#connector && !this.#answered ? abortOf(true) : error)
  }

  get #isHeldBack(): boolean {
    return this.#connector.heldBack || this.#provider?.heldBack === true
  }

  #stalled(): void {
    const why = this.#isHeldBack
      ? 'a peer without stream control sends more than the rate of the token lets through'
      : 'the reader accepted nothing for too long'
    this.#abort(new LinkSocksError('ERR_CHANNEL_RESET', why))
  }

  #abort(reason: LinkSocksError): void {
    if (this.#over) return
    const code = ABORT_CODES[reason.code] ?? ResetCode.Protocol
    for (const end of [this.#connector, this.#provider]) if (end !== undefined) this.#tell(end, reason, code)
    this.#finish(reason)
  }

  #tell(end: SpliceEnd, reason: LinkSocksError, code: number): void {
    const { channelId } = this.#options.connect
    end.farewell({ channelId, asked: end === this.#connector, answered: this.#answered }, reason, code)
  }

  #finish(error = this.#reset): void {
    if (this.#over) return
    this.#phase = 'over'
    this.#stream.closed(error)
    // an error for each channel costs much, and mostly nobody waits for it
    if (this.#opening !== undefined) this.#opening.end(error ?? abortOf(true))
    this.#linger.stop()
    this.#gate?.close()
    for (const end of [this.#connector, this.#provider]) end?.drop()
  }
}

/** One that was not found yet is not away. */
function thereMsOf(end: SpliceEnd | undefined): number {
  return end?.thereMs ?? Number.POSITIVE_INFINITY
}
