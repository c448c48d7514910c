import { LinkSocksError } from '../../errors.js'
import type { DatagramHandler, DatagramSocket, SocketAddress, Target } from '../../ports.js'
import { MAX_DATAGRAM_BYTES, MIB } from '../../protocol/limits.js'
import {
  ChannelProtocol,
  Compression,
  type DataMessage,
  encodeConnect,
  encodeConnectResponse,
  encodeDatagram,
  encodeDisconnect,
  type Message,
  MessageType,
  payloadBytes,
} from '../../protocol/messages.js'
import { encodeRefusal, errorOfRefusal } from '../../protocol/refusal.js'
import { type ChannelKey, channelKey } from '../../protocol/uuid.js'
import { MessageQueue } from '../flow/message-queue.js'
import type { Lane, Outgoing, Source } from '../flow/scheduler.js'
import type { ChannelEntry, ChannelHost } from './channel-host.js'
import { Inbox } from './inbox.js'
import type { ChannelObserver, Observe, Traffic } from './observer.js'

/** Datagrams of one channel that may wait for the session; the oldest gives way. */
export const MAX_WAITING_DATAGRAM_BYTES = 1 * MIB

interface DatagramChannelOptions {
  readonly host: ChannelHost
  readonly id: Uint8Array
  /** Whether this end sent the Connect: then it addresses destinations, else it names sources. */
  readonly opener: boolean
  readonly observe?: Observe | undefined
  /** Numbers of the policies that the far end is to judge by. @default none */
  readonly policies?: readonly number[] | undefined
}

/** Datagrams through a session (docs/protocol.md A.4): one UDP association. */
export class DatagramChannel implements DatagramSocket, ChannelEntry, Source, Traffic {
  readonly #host: ChannelHost
  readonly #id: Uint8Array
  readonly #key: ChannelKey
  readonly #opener: boolean
  readonly #lane: Lane
  readonly #queue = new MessageQueue({ maxBytes: MAX_WAITING_DATAGRAM_BYTES })
  readonly #inbox: Inbox
  readonly #observer: ChannelObserver | undefined
  readonly #policies: readonly number[] | undefined
  #deliveredBytes = 0
  #sentBytes = 0
  /** Datagrams that were too long or could not be read or delivered. */
  #unusable = 0
  #handler: DatagramHandler | undefined
  #answered = false
  #closed = false
  #closeError: LinkSocksError | undefined
  #onAnswer: ((error?: LinkSocksError) => void) | undefined

  constructor({ host, id, opener, observe, policies }: DatagramChannelOptions) {
    this.#policies = policies
    this.#host = host
    this.#id = id
    this.#key = channelKey(id)
    this.#opener = opener
    this.#lane = host.lane(this)
    this.#inbox = new Inbox(host.inflate, {
      message: (message) => this.#dispatch(message),
      failed: () => {
        this.#unusable += 1
      },
      crowded: () => {},
      relieved: () => {},
    })
    host.attach(this.#key, this)
    this.#observer = observe?.(this, this)
  }

  /** Of datagrams that the handler passed on. */
  get receivedBytes(): number {
    return this.#handler?.passedBytes ?? this.#deliveredBytes
  }

  /** Of datagrams that have left the queue. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Datagrams that gave way to newer ones, or could not be passed on. */
  get dropped(): number {
    return this.#queue.dropped + this.#unusable
  }

  /** Sends the Connect. `onAnswer` is called once, when the far end answered or the channel failed. */
  connect(onAnswer: (error?: LinkSocksError) => void): void {
    this.#onAnswer = onAnswer
    const trailer = this.#policies && { policies: this.#policies }
    this.#host.control(encodeConnect({ protocol: ChannelProtocol.Udp, channelId: this.#id, trailer }))
  }

  /** The accepter hears here when the asker gave up before `accept()` or `refuse()`. */
  onCancel(callback: (error?: LinkSocksError) => void): void {
    this.#onAnswer = callback
  }

  accept(): void {
    if (this.#closed || this.#answered) return
    this.#answered = true
    this.#onAnswer = undefined
    this.#observer?.opened()
    this.#host.control(encodeConnectResponse({ success: true, channelId: this.#id }))
    this.#lane.ready()
  }

  refuse(reason: LinkSocksError): void {
    if (this.#closed || this.#answered) return
    this.#onAnswer = undefined
    this.#host.control(encodeRefusal(this.#id, reason))
    this.#finish(reason)
  }

  start(handler: DatagramHandler): void {
    this.#handler = handler
    if (this.#closed) handler.close(this.#closeError)
  }

  send(data: Uint8Array, address: Target): void {
    if (this.#closed) return
    if (data.byteLength > MAX_DATAGRAM_BYTES) {
      this.#unusable += 1
      return
    }
    const place = this.#opener ? { target: address } : { source: address }
    this.#queue.push(encodeDatagram({ channelId: this.#id, data, ...place }))
    this.#lane.ready()
  }

  close(): void {
    this.abort(undefined)
  }

  abort(reason: LinkSocksError | undefined): void {
    if (this.#closed) return
    if (!this.#opener && !this.#answered) {
      const error = reason ?? new LinkSocksError('ERR_CANCELLED', 'closed before it was answered')
      const onCancel = this.#onAnswer
      this.refuse(error)
      return onCancel?.(error)
    }
    this.#host.control(encodeDisconnect({ channelId: this.#id, error: reason?.message ?? 'EOF' }))
    this.#finish(reason)
  }

  nextBytes(): number {
    // before the answer nothing may leave: the far end would have to throw it away
    return this.#closed || !this.#answered ? 0 : this.#queue.nextBytes
  }

  take(): Outgoing {
    const head = this.#queue.shift()
    this.#sentBytes += payloadBytes(head)
    return { head }
  }

  message(raw: Uint8Array): void {
    this.#inbox.push(raw)
  }

  sessionClosed(error: LinkSocksError): void {
    this.#finish(error)
  }

  sessionClosing(reason: LinkSocksError): void {
    this.abort(reason)
  }

  get base(): boolean {
    return true
  }

  #dispatch(message: Message): void {
    if (this.#closed) return
    if (message.type === MessageType.Data) this.#onData(message)
    else if (message.type === MessageType.Disconnect) this.#onDisconnect()
    else if (message.type === MessageType.ConnectResponse && this.#opener) {
      if (message.success) return this.#answer()
      this.#finish(errorOfRefusal(message.error, message.trailer?.rep))
    }
  }

  #onData({ compression, data, source, target }: DataMessage): void {
    // deployed relays reorder: data before the answer means that the association stands
    this.#answer()
    const address: SocketAddress | undefined = this.#opener ? source : target
    if (compression !== Compression.None || address === undefined || address.host === '') return
    if (this.#handler === undefined || data.byteLength > MAX_DATAGRAM_BYTES) this.#unusable += 1
    else {
      this.#deliveredBytes += data.byteLength
      this.#handler.datagram(data, address)
    }
  }

  #onDisconnect(): void {
    this.#host.control(encodeDisconnect({ channelId: this.#id, error: 'EOF' }))
    const code = this.#opener ? 'ERR_DIAL_FAILED' : 'ERR_CANCELLED'
    this.#finish(this.#answered ? undefined : new LinkSocksError(code, 'the far end gave up'))
  }

  #answer(error?: LinkSocksError): void {
    if (this.#opener && !this.#answered) {
      this.#answered = true
      if (error === undefined) this.#observer?.opened()
      this.#lane.ready()
    }
    const onAnswer = this.#opener || error !== undefined ? this.#onAnswer : undefined
    if (onAnswer !== undefined) this.#onAnswer = undefined
    onAnswer?.(error)
  }

  #finish(error?: LinkSocksError): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeError = error
    this.#observer?.closed(error)
    this.#host.detach(this.#key)
    this.#lane.close()
    this.#queue.clear()
    this.#inbox.close()
    this.#answer(error ?? new LinkSocksError('ERR_CHANNEL_RESET', 'the association was closed'))
    if (this.dropped > 0) this.#host.log.debug('datagrams.dropped', { count: this.dropped })
    this.#handler?.close(error)
  }
}
