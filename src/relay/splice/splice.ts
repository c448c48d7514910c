import { LinkSocksError } from '../../errors.js'
import type { DatagramGate } from '../../exit/udp/datagram-gate.js'
import { Meter } from '../../mux/channel/observer.js'
import { SendWindow } from '../../mux/flow/window.js'
import { MAX_SESSIONS_AT_ONCE } from '../../mux/open-besides.js'
import type { Session } from '../../mux/session.js'
import { MAX_SESSIONS_TRIED } from '../../mux/session-pool.js'
import type { Target, Timer } from '../../ports.js'
import { ControlOp, decodeControl, ResetCode } from '../../protocol/control.js'
import { EARLY_DATA_BYTES } from '../../protocol/limits.js'
import { ChannelProtocol, Compression, decodeMessage, MessageType, payloadBytes } from '../../protocol/messages.js'
import { readdressed } from '../../protocol/readdress.js'
import { encodeRefusal, errorOfRefusal } from '../../protocol/refusal.js'
import { channelKey } from '../../protocol/uuid.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { TrackedStream } from '../observe/streams.js'
import { SpliceEnd } from './splice-end.js'
import { Linger } from './splice-linger.js'
import { SpliceQueue } from './splice-queue.js'
import {
  abortOf,
  checkConnect,
  checkCredit,
  checkSmall,
  datagramGate,
  inOurVersion,
  isOrderlyDisconnect,
  MAX_WAITING_BYTES,
  type SpliceAccess,
  type SpliceOptions,
  windowUpdate,
} from './splice-rules.js'

/**
 * asked --Data, Disconnect--> touched --Data of the provider--> implied --ConnectResponse--> answered
 * any of them --both ends done, abort, loss--> over
 *
 * `asked`: nothing but the Connect has passed to a provider, so another one may still take its place. `implied`: the provider
 * sent Data before its answer, which may never come; both ends go on without credit then.
 */
type Phase = 'asked' | 'touched' | 'implied' | 'answered' | 'over'

/**
 * Joins one channel of a connector's session with the same channel of a provider's: messages pass byte for byte. It
 * reads just enough to enforce credit, to know the channel's end and to bound what waits (docs/protocol.md A.5, B.2).
 */
export class Splice {
  readonly #options: SpliceOptions
  readonly #datagrams: boolean
  readonly #offered: number | undefined
  readonly #connector: SpliceEnd
  #provider: SpliceEnd | undefined
  /** Messages of the connector that came before a provider was found. */
  readonly #waiting: SpliceQueue
  readonly #cancelled = new AbortController()
  /** Judges the datagrams of the connector. */
  readonly #gate: DatagramGate | undefined
  /** The Connect as it goes on. */
  #connect: Uint8Array
  #attempts = 0
  #earlyBytes = 0
  #phase: Phase = 'asked'
  readonly #linger: Linger
  readonly #meter = new Meter()
  readonly #stream: TrackedStream
  #silence: Timer | undefined
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
    this.#waiting = new SpliceQueue(this.#datagrams ? MAX_WAITING_BYTES : undefined)
    this.#linger = new Linger(options.connector.clock, {
      drained: () => this.#drained,
      over: () => this.#finish(),
      stalled: () => this.#stalled(),
      thereMs: () => Math.min(this.#connector.thereMs, thereMsOf(this.#provider)),
    })
    this.#connector = this.#end(options.connector, () => this.#provider)
    this.#stream = options.observe(this.#meter)
    this.#connect = options.raw
    if (options.access !== undefined && this.#datagrams) {
      this.#gate = datagramGate(options.access, options.connector.clock, (raw) => this.#passDatagram(raw))
    }
    if (options.access === undefined || this.#datagrams) this.#choose()
    else void this.#judge(options.access)
  }

  get #answered(): boolean {
    return this.#phase === 'answered'
  }

  get #over(): boolean {
    return this.#phase === 'over'
  }

  /** More than the Connect passes between the provider and the connector. */
  #touch(): void {
    if (this.#phase === 'asked') this.#phase = 'touched'
  }

  get #drained(): boolean {
    return this.#connector.drained && this.#provider?.drained !== false
  }

  #end(session: Session, other: () => SpliceEnd | undefined): SpliceEnd {
    const channel = { key: channelKey(this.#options.connect.channelId), datagrams: this.#datagrams }
    const end: SpliceEnd = new SpliceEnd(session, this.#options.held, channel, {
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
      stalled: () => this.#stalled(),
      otherMs: () => thereMsOf(other()),
      lost: (error, closing) => this.#onLost(end, other(), error, closing),
    })
    return end
  }

  /** Looks the target up while what the connector sends waits, and goes on with an address that is allowed. */
  async #judge({ lists, check }: SpliceAccess): Promise<void> {
    const { connect, raw } = this.#options
    try {
      const target = connect.target ?? { host: '', port: 0 }
      const { host } = await check.allowed(target, lists, { signal: this.#cancelled.signal })
      if (host !== target.host) this.#connect = readdressed(raw, host)
    } catch (thrown) {
      return this.#refuse(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
    }
    if (!this.#over) this.#choose()
  }

  #choose(): void {
    this.#attempts += 1
    this.#options.choose({ signal: this.#cancelled.signal }).then(
      (client) => this.#over || this.#join(client),
      (thrown: unknown) => this.#refuse(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')),
    )
  }

  #join(client: RelayClient): void {
    if (!client.session.available && this.#attempts < MAX_SESSIONS_TRIED) return this.#choose() // lost since it was chosen
    try {
      this.#provider = this.#end(client.session, () => this.#connector)
      this.#connector.hold(this.#connect)
      this.#stream.provide(client)
    } catch (thrown) {
      return this.#refuse(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
    }
    if (this.#offered !== undefined) this.#provider.credit = new SendWindow(this.#offered)
    const waiting = this.#waiting.takeAll()
    if (waiting.length > 0) this.#touch()
    // in turn with the data of other channels: nobody can fill the provider's session with Connects
    for (const raw of [inOurVersion(this.#connect), ...waiting]) this.#provider.send(raw)
    if (this.#connector.done && !this.#over) this.#linger.begin()
    this.#watchSilence(client.session)
  }

  /** A provider whose link owes an answer is left for one whose link does not, while nothing but the Connect has gone there. */
  #watchSilence(from: Session): void {
    this.#silence?.cancel()
    const asks = (): boolean => this.#phase === 'asked' && this.#provider?.session === from
    if (this.#attempts >= MAX_SESSIONS_AT_ONCE) return
    this.#silence = from.whenSilent(() => {
      if (!asks()) return
      const turn = (client: RelayClient): void => void (asks() && !client.session.silent && this.#turnTo(client))
      this.#options.choose({ signal: this.#cancelled.signal }).then(turn, () => {})
    })
  }

  #turnTo(client: RelayClient): void {
    this.#attempts += 1
    const { channelId } = this.#options.connect
    this.#provider?.farewell({ channelId, asked: false, answered: false }, abortOf(true), ResetCode.Protocol)
    this.#provider?.drop()
    this.#provider = undefined
    this.#connector.releaseAll()
    this.#join(client)
  }

  #refuse(error: LinkSocksError): void {
    if (this.#over) return
    this.#connector.control(encodeRefusal(this.#options.connect.channelId, error))
    this.#finish(error)
  }

  #onMessage(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array, type: number): void {
    // after its Disconnect an end has nothing more to say
    if (from.done || this.#over) return
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

  #onDatagram(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array, target: Target | undefined): void {
    if (from.crowded) return
    if (this.#gate === undefined || from !== this.#connector) return this.#pass(from, to, raw, false)
    this.#gate.send(raw, target ?? { host: '', port: 0 })
  }

  /** Goes on with a datagram that was judged, perhaps later than it came. */
  #passDatagram(raw: Uint8Array): void {
    const [from, to] = [this.#connector, this.#provider]
    if (this.#over || to?.gone === true || from.crowded) return
    try {
      this.#pass(from, to, raw, false)
    } catch (thrown) {
      this.#abort(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  #pass(from: SpliceEnd, to: SpliceEnd | undefined, raw: Uint8Array, urgent: boolean): void {
    from.hold(raw)
    if (to === undefined) return this.#keepWaiting(raw)
    this.#touch()
    to.send(raw, urgent)
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
    if (this.#phase === 'asked' || this.#phase === 'touched') this.#phase = 'implied'
    this.#stream.opened()
    // before the answer it is not known whether the credit counts
    if (this.#answered) checkCredit(from.credit)
  }

  #keepWaiting(raw: Uint8Array): void {
    this.#connector.release(this.#waiting.push(raw))
    // deployed relays lose early data altogether
    if (this.#waiting.bytes > MAX_WAITING_BYTES) {
      throw new LinkSocksError('ERR_LIMIT', 'too much data while no provider is there')
    }
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
      return this.#keepWaiting(raw)
    }
    // a provider that never got the Connect knows nothing of the channel
    if (!orderly && to === this.#provider && !to.reached) return this.#finish()
    this.#touch()
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
    if (end === this.#provider && this.#phase === 'asked' && !closing && this.#attempts < MAX_SESSIONS_TRIED) {
      end.releaseAll()
      this.#provider = undefined
      this.#connector.releaseAll()
      return this.#choose()
    }
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

  #stalled(): void {
    this.#abort(new LinkSocksError('ERR_CHANNEL_RESET', 'the reader accepted nothing for too long'))
  }

  #abort(reason: LinkSocksError): void {
    if (this.#over) return
    const code = reason.code === 'ERR_FLOW_CONTROL' ? ResetCode.FlowControl : ResetCode.Protocol
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
    if (this.#provider === undefined) this.#cancelled.abort(abortOf(true))
    this.#silence?.cancel()
    this.#linger.stop()
    this.#gate?.close()
    this.#waiting.clear()
    for (const end of [this.#connector, this.#provider]) end?.drop()
  }
}

/** One that was not found yet is not away. */
function thereMsOf(end: SpliceEnd | undefined): number {
  return end?.thereMs ?? Number.POSITIVE_INFINITY
}
