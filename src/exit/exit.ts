import { addressText } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import { Channel } from '../mux/channel/channel.js'
import type { ChannelHost } from '../mux/channel/channel-host.js'
import { DatagramChannel } from '../mux/channel/datagrams.js'
import type { Observe } from '../mux/channel/observer.js'
import type { Dialer, Target } from '../ports.js'
import { ChannelProtocol, type ConnectMessage } from '../protocol/messages.js'
import { encodeRefusal } from '../protocol/refusal.js'
import { pump, pumpDatagrams } from '../streams/pump.js'
import { AssociationLimit } from './udp/association-limit.js'

/** A channel that waits for its destination. */
interface Answering {
  onCancel(callback: (error?: LinkSocksError) => void): void
  refuse(reason: LinkSocksError): void
}

/** Told of each channel that a peer opens; `target` is absent for UDP. */
export type ObserveExit = (target?: Target) => Observe

/** The exit side of a session: dials what the peer asks for and answers every Connect. */
export class Exit {
  readonly #dialer: Dialer
  readonly #log: Logger
  readonly #observe: ObserveExit | undefined
  readonly #associations = new AssociationLimit()

  constructor(dialer: Dialer, log: Logger, observe?: ObserveExit) {
    this.#dialer = dialer
    this.#log = log
    this.#observe = observe
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
    const channel = new Channel({
      host,
      id: message.channelId,
      opener: false,
      offer: message.trailer?.streamControl,
      fastOpen: false,
      observe: this.#observe?.(target),
    })
    this.#settle(
      channel,
      (signal) => this.#dialer.dial(target, { signal }),
      (stream) => {
        channel.accept()
        pump(channel, stream)
      },
      addressText(target),
    )
  }

  #associate(host: ChannelHost, message: ConnectMessage): void {
    const channel = new DatagramChannel({
      host,
      id: message.channelId,
      opener: false,
      observe: this.#observe?.(),
    })
    this.#settle(
      channel,
      (signal) => this.#associations.take(() => this.#dialer.associate({ signal })),
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
