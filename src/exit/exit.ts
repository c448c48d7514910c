import { addressText } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import { Channel } from '../mux/channel/channel.js'
import type { ChannelHost } from '../mux/channel/channel-host.js'
import { DatagramChannel } from '../mux/channel/datagrams.js'
import type { ChannelObserver, Observe } from '../mux/channel/observer.js'
import type { Dialer, SocketAddress, Target, TargetJudge } from '../ports.js'
import { ChannelProtocol, type ConnectMessage } from '../protocol/messages.js'
import { encodeRefusal } from '../protocol/refusal.js'
import { pump, pumpDatagrams } from '../streams/pump.js'
import { AssociationLimit } from './udp/association-limit.js'

/** A channel that waits for its destination. */
interface Answering {
  onCancel(callback: (error?: LinkSocksError) => void): void
  refuse(reason: LinkSocksError): void
}

/** Told of each channel that a peer opens. */
export type ObserveExit = (message: ConnectMessage) => Observe | undefined

export interface ExitOptions {
  readonly dialer: Dialer
  readonly log: Logger
  /** @default nobody */
  readonly observe?: ObserveExit | undefined
  /**
   * Admits a Connect. @returns who judges where it leads; `undefined`: nobody does
   * @throws {LinkSocksError} why it is refused
   */
  readonly admit?: ((message: ConnectMessage) => TargetJudge | undefined) | undefined
}

/** The exit side of a session: dials what the peer asks for and answers every Connect. */
export class Exit {
  readonly #options: ExitOptions
  readonly #dialer: Dialer
  readonly #log: Logger
  readonly #associations = new AssociationLimit()

  constructor(options: ExitOptions) {
    this.#options = options
    this.#dialer = options.dialer
    this.#log = options.log
  }

  /** Serves one Connect of a peer that may send it. */
  connect(host: ChannelHost, message: ConnectMessage): void {
    try {
      if (message.protocol === ChannelProtocol.Udp) this.#associate(host, message)
      else if (message.protocol === ChannelProtocol.Tcp && message.target !== undefined) {
        this.#dial(host, message, message.target)
      } else throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', `unknown channel protocol ${message.protocol}`)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      this.#log.warn('exit.refused', { code: error.code, reason: error.message })
      // an id in use is the peer's mistake: an answer would be taken for the living channel's
      if (error.code !== 'ERR_MESSAGE_INVALID') host.control(encodeRefusal(message.channelId, error))
    }
  }

  #dial(host: ChannelHost, message: ConnectMessage, target: Target): void {
    const judge = this.#options.admit?.(message)
    const observe = this.#options.observe?.(message)
    let observer: ChannelObserver | undefined
    const channel = new Channel({
      host,
      id: message.channelId,
      opener: false,
      offer: message.trailer?.streamControl,
      fastOpen: false,
      observe: observe && ((...about) => (observer = observe(...about))),
    })
    const reached = observer?.reached && ((address: SocketAddress): void => observer?.reached?.(address))
    this.#settle(
      channel,
      (signal) => this.#dialer.dial(target, { signal, judge, reached }),
      (stream) => {
        channel.accept()
        pump(channel, stream)
      },
      addressText(target),
    )
  }

  #associate(host: ChannelHost, message: ConnectMessage): void {
    const judge = this.#options.admit?.(message)
    const channel = new DatagramChannel({
      host,
      id: message.channelId,
      opener: false,
      observe: this.#options.observe?.(message),
    })
    this.#settle(
      channel,
      (signal) => this.#associations.take(() => this.#dialer.associate({ signal, judge })),
      (socket) => {
        channel.accept()
        pumpDatagrams(channel, socket)
      },
      'udp',
    )
  }

  /** Joins the channel with what was opened, or refuses it; an asker that gives up cancels the opening. */
  #settle<T>(
    channel: Answering,
    open: (signal: AbortSignal) => Promise<T>,
    join: (opened: T) => void,
    target: string,
  ): void {
    const cancelled = new AbortController()
    channel.onCancel((error) => cancelled.abort(error))
    open(cancelled.signal).then(
      (opened) => {
        this.#log.debug('exit.opened', { target })
        // a channel that is gone by now closes what was opened as soon as they are joined
        join(opened)
      },
      (thrown: unknown) => {
        const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
        this.#log.debug('exit.failed', { target, code: error.code, reason: error.message })
        channel.refuse(error)
      },
    )
  }
}
