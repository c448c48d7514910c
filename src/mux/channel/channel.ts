import { LinkSocksError } from '../../errors.js'
import type { ByteStream, ByteStreamHandler, Target } from '../../ports.js'
import { ControlOp, encodeControl, errorOfReset, resetCodeOf } from '../../protocol/control.js'
import {
  Compression,
  type ConnectResponseMessage,
  type DataMessage,
  decodeMessage,
  encodeDisconnect,
  isGzipData,
  type Message,
  MessageType,
  plainData,
} from '../../protocol/messages.js'
import { errorOfRefusal, isOrderlyEnd } from '../../protocol/refusal.js'
import { channelKey } from '../../protocol/uuid.js'
import type { ChannelEntry, ChannelHost } from './channel-host.js'
import { HandlerEvents } from './handler-events.js'
import { Inbox } from './inbox.js'
import { Linger } from './linger.js'
import { type ChannelObserver, ChannelTraffic, type Observe } from './observer.js'
import { type OnAnswer, Opening } from './opening.js'
import { Receiver } from './receiver.js'
import { Sender } from './sender.js'
import { StreamControl } from './stream-control.js'

export interface ChannelOptions {
  readonly host: ChannelHost
  readonly id: Uint8Array
  /** Whether this end sent the Connect. */
  readonly opener: boolean
  /** Whether the Connect offered stream control, and the credit that it granted. */
  readonly offer: number | undefined
  readonly fastOpen: boolean
  readonly observe?: Observe | undefined
  /** Numbers of the policies that the far end is to judge by. @default none */
  readonly policies?: readonly number[] | undefined
}

/**
 * A byte stream through a session (docs/protocol.md A.4, B.2). With stream control it has credit, half-close and
 * reset; towards peers that don't know stream control it is a base channel, whose Disconnect ends both directions.
 */
export class Channel implements ByteStream, ChannelEntry {
  readonly #host: ChannelHost
  readonly #id: Uint8Array
  readonly #opener: boolean
  readonly #offer: number | undefined
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #control: StreamControl
  /** Made with the first gzip message: what comes behind it waits. */
  #inbox: Inbox | undefined
  readonly #opening: Opening
  readonly #policies: readonly number[] | undefined
  #linger: Linger | undefined
  readonly #handlerEvents = new HandlerEvents()
  readonly #observer: ChannelObserver | undefined
  #mode: 'undecided' | 'credit' | 'base' = 'undecided'
  #leaving = false

  constructor(options: ChannelOptions) {
    this.#host = options.host
    this.#id = options.id
    this.#opener = options.opener
    this.#offer = options.offer
    this.#opening = new Opening(options.host, options.id)
    this.#policies = options.policies
    this.#sender = new Sender(options.id, options.host, options.fastOpen ? 'early' : 'held', {
      written: (bytes) => this.#handlerEvents.written(bytes),
      ended: () => this.#sentEnd(),
      blocked: () => this.#control.watch(),
    })
    this.#receiver = new Receiver(options.host, !options.opener && options.offer !== undefined, {
      grant: (credit) => this.#control.grant(credit),
      stalled: () => this.abort(new LinkSocksError('ERR_CHANNEL_RESET', 'the reader accepted nothing for too long')),
      unwanted: () => this.#waitForEnd().shorten(),
      roundTrip: () => this.#control.path.roundTrip(),
    })
    const halves = { sender: this.#sender, receiver: this.#receiver }
    this.#control = new StreamControl(options.host, options.id, halves, {
      ended: () => this.#finishIfBothEnded(),
      reset: (code) => this.#onAbort(errorOfReset(code)),
      unanswered: () => this.abort(new LinkSocksError('ERR_LINK_TIMEOUT', 'the far end stopped answering')),
    })
    options.host.attach(channelKey(options.id), this)
    this.#observer = options.observe?.(new ChannelTraffic(halves), this)
  }

  /** Sends the Connect. `onAnswer` is called once, when the far end answered or the channel failed. */
  connect(target: Target, onAnswer: OnAnswer): void {
    this.#opening.connect(target, this.#policies, onAnswer)
  }

  /** The accepter hears here when the asker gave up before `accept()` or `refuse()`. */
  onCancel(callback: OnAnswer): void {
    this.#opening.onAnswer(callback)
  }

  /** Answers the Connect with success. */
  accept(): void {
    if (this.#handlerEvents.closed || this.#mode !== 'undecided') return
    this.#opening.accept(this.#offer)
    this.#decide(this.#offer)
    // the asker sent all it had and left while the destination was being dialled
    if (this.#receiver.ended) this.#onDisconnect(undefined)
  }

  /** Answers the Connect with a failure. */
  refuse(reason: LinkSocksError): void {
    if (this.#handlerEvents.closed || this.#mode !== 'undecided') return
    this.#opening.refuse(reason)
    this.#finish(reason)
  }

  start(handler: ByteStreamHandler): void {
    this.#handlerEvents.start(handler, () => this.#receiver.start(handler))
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handlerEvents.handBack(this.#sender.unreported)
    this.#receiver.handBack(unread)
  }

  consume(bytes: number): void {
    this.#receiver.consume(bytes)
  }

  write(chunk: Uint8Array): void {
    if (!this.#handlerEvents.closed) this.#sender.write(chunk)
  }

  end(): void {
    if (!this.#handlerEvents.closed) this.#sender.end()
  }

  close(): void {
    // what a stream that is over delivered no longer counts
    if (this.#handlerEvents.closed) return this.#receiver.stop()
    if (this.#leaving) return
    this.#leaving = true
    this.#receiver.discard()
    this.#sender.end()
    if (this.#sender.ended) this.#sentEnd()
  }

  abort(reason: LinkSocksError): void {
    if (this.#handlerEvents.closed) return this.#receiver.stop()
    if (this.#mode === 'undecided' && !this.#opener) {
      const onCancel = this.#opening.refuse(reason)
      this.#finish(reason)
      return onCancel?.(reason)
    }
    if (this.#mode === 'credit') {
      this.#host.control(encodeControl(this.#id, { op: ControlOp.Reset, code: resetCodeOf(reason) }))
    }
    this.#host.control(encodeDisconnect({ channelId: this.#id, error: reason.message || 'aborted' }))
    this.#finish(reason)
  }

  message(raw: Uint8Array): void {
    if (this.#inbox !== undefined || isGzipData(raw)) return this.#sorted().push(raw)
    try {
      const data = plainData(raw)
      const message = data === undefined ? decodeMessage(raw) : undefined
      if (data !== undefined && !this.#handlerEvents.closed) this.#onPlainData(data)
      else if (message !== undefined) this.#dispatch(message)
    } catch (thrown) {
      this.#violated(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  sessionClosed(error: LinkSocksError): void {
    this.#finish(error)
  }

  sessionClosing(reason: LinkSocksError): void {
    this.abort(reason)
  }

  get base(): boolean {
    return this.#mode !== 'credit'
  }

  #sorted(): Inbox {
    this.#inbox ??= new Inbox(this.#host.inflate, {
      message: (message) => this.#dispatch(message),
      failed: (error) => this.#violated(error),
      crowded: () => this.#host.gate.behind(this),
      relieved: () => this.#host.gate.caughtUp(this),
    })
    return this.#inbox
  }

  /** A peer's mistake on one channel ends that channel alone. */
  #violated(error: LinkSocksError): void {
    this.#host.log.warn('channel.violation', { code: error.code, reason: error.message })
    this.abort(error)
  }

  #dispatch(message: Message): void {
    if (this.#handlerEvents.closed) return
    switch (message.type) {
      case MessageType.Data:
        return this.#onData(message)
      case MessageType.ConnectResponse:
        return this.#onConnectResponse(message)
      case MessageType.Disconnect:
        return this.#onDisconnect(message.error)
    }
  }

  #onData(message: DataMessage): void {
    if (message.compression === Compression.Control) return this.#onControl(message.data)
    if (message.compression !== Compression.None) {
      this.#control.sawTraffic()
      throw new LinkSocksError('ERR_MESSAGE_INVALID', `unknown compression ${message.compression}`)
    }
    this.#onPlainData(message.data)
  }

  #onPlainData(data: Uint8Array): void {
    this.#control.sawTraffic()
    if (this.#opener && this.#mode === 'undecided') {
      this.#opening.answeredByData(() => this.#decide(undefined))
      this.#sender.useEarly()
    }
    this.#linger?.data()
    this.#receiver.data(data)
  }

  #onControl(data: Uint8Array): void {
    if (this.#mode === 'credit') this.#control.frame(data)
    else if (this.#mode === 'undecided' && this.#opener) this.#control.keep(data)
  }

  #onConnectResponse(message: ConnectResponseMessage): void {
    if (!this.#opener) return
    if (!message.success) {
      if (this.#mode === 'undecided') this.#finish(errorOfRefusal(message.error, message.trailer?.rep))
      return
    }
    const credit = message.trailer?.streamControl
    if (this.#mode === 'credit' || (this.#mode === 'base' && credit === undefined)) return
    this.#decide(credit)
  }

  #decide(credit: number | undefined): void {
    this.#opening.stop()
    if (credit === undefined) {
      this.#mode = 'base'
      this.#receiver.useBase()
      this.#sender.useBase()
    } else {
      this.#mode = 'credit'
      this.#receiver.useCredit()
      this.#sender.useCredit(credit)
    }
    this.#observer?.opened()
    this.#opening.answer()
    if (this.#mode === 'credit') this.#control.begin()
  }

  #onDisconnect(error: string | undefined): void {
    const orderly = isOrderlyEnd(error)
    if (this.#mode === 'credit') {
      const both = this.#sender.ended && this.#receiver.ended
      return both && orderly ? this.#finish() : this.#onAbort()
    }
    if (!orderly) return this.#onAbort(this.#mode === 'undecided' && this.#opener ? errorOfRefusal(error) : undefined)
    if (this.#mode === 'undecided' && !this.#opener) {
      // the asker left before the answer: it gave up, unless it sent data early and that was all
      return this.#offer !== undefined || this.#receiver.received === 0 ? this.#onAbort() : this.#receiver.end()
    }
    if (this.#mode === 'undecided') this.#decide(undefined)
    this.#receiver.end()
    if (this.#handlerEvents.closed) return
    if (!this.#sender.ended) this.#host.control(encodeDisconnect({ channelId: this.#id, error: 'EOF' }))
    this.#finish()
  }

  /** The peer ended the channel before both directions had ended. */
  #onAbort(error = new LinkSocksError('ERR_CHANNEL_RESET', 'the far end aborted the stream')): void {
    this.#host.control(encodeDisconnect({ channelId: this.#id, error: 'aborted' }))
    this.#finish(error)
  }

  /** Our end has left. */
  #sentEnd(): void {
    if (this.#handlerEvents.closed) return
    const half = this.#mode === 'credit' && !this.#leaving
    if (half || this.#receiver.ended) this.#finishIfBothEnded()
    else this.#waitForEnd().start(this.#mode === 'base')
  }

  #finishIfBothEnded(): void {
    if (this.#handlerEvents.closed || !this.#sender.endLeft || !this.#receiver.ended) return
    this.#host.control(encodeDisconnect({ channelId: this.#id, error: 'EOF' }))
    this.#finish()
  }

  #waitForEnd(): Linger {
    this.#linger ??= new Linger(this.#host.clock, (quiet) => this.#lingered(quiet))
    return this.#linger
  }

  /** The peer's end did not come; silence is taken for it on a base channel. */
  #lingered(quiet: boolean): void {
    if (this.#mode === 'base' && (quiet || this.#leaving)) {
      this.#receiver.end()
      this.#finish()
    } else {
      this.abort(new LinkSocksError('ERR_CANCELLED', 'the stream was closed before the far end had ended it'))
    }
  }

  #finish(error?: LinkSocksError): void {
    if (!this.#handlerEvents.close(error)) return
    this.#observer?.closed(error)
    this.#linger?.stop()
    this.#opening.stop()
    this.#control.stop()
    this.#host.detach(channelKey(this.#id))
    this.#inbox?.close()
    this.#sender.stop()
    if (error === undefined) this.#receiver.finish()
    else this.#receiver.stop()
    this.#opening.fail(error)
    this.#handlerEvents.emitClose()
  }
}
