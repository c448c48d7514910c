import { LinkSocksError } from '../errors.js'
import type { AbortOptions, ByteStream, DatagramSocket, Dialer, Target } from '../ports.js'
import { INITIAL_WINDOW_BYTES, MAX_STR8_BYTES, OPEN_TIMEOUT_MS } from '../protocol/limits.js'
import { encodeUtf8 } from '../protocol/text.js'
import { newUuid } from '../protocol/uuid.js'
import { Channel } from './channel/channel.js'
import type { ChannelHost } from './channel/channel-host.js'
import { DatagramChannel } from './channel/datagrams.js'
import type { Observe } from './channel/observer.js'

export interface SessionDialerOptions {
  /**
   * Give the stream out before the far end answered. Only for sessions that keep order and early data (trailer tag
   * 0x11): elsewhere the first bytes can be lost.
   */
  readonly fastOpen: boolean
  /** Told of each channel; `target` is absent for UDP. */
  readonly observe?: ((target?: Target) => Observe) | undefined
  /** Numbers of the policies that the far end is to judge by. @default none */
  readonly policies?: readonly number[] | undefined
}

interface Abortable {
  abort(reason: LinkSocksError): void
}

/** Opens channels of a session: the SOCKS side of a session. */
export class SessionDialer implements Dialer {
  readonly #host: ChannelHost
  readonly #fastOpen: boolean
  readonly #observe: SessionDialerOptions['observe']
  readonly #policies: readonly number[] | undefined

  constructor(host: ChannelHost, { fastOpen, observe, policies }: SessionDialerOptions) {
    this.#policies = policies
    this.#host = host
    this.#fastOpen = fastOpen
    this.#observe = observe
  }

  async dial(target: Target, { signal }: AbortOptions = {}): Promise<ByteStream> {
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    checkHost(target.host)
    const channel = new Channel({
      host: this.#host,
      id: newUuid(this.#host.crypto),
      opener: true,
      offer: INITIAL_WINDOW_BYTES,
      fastOpen: this.#fastOpen,
      observe: this.#observe?.(target),
      policies: this.#policies,
    })
    // with fast open the wait is over at once: neither the signal nor the answer concern the caller, the stream tells
    const answered = this.#answer(
      channel,
      (onAnswer) => channel.connect(target, onAnswer),
      this.#fastOpen ? undefined : signal,
    )
    if (this.#fastOpen) answered.catch(() => {})
    else await answered
    return channel
  }

  async associate({ signal }: AbortOptions = {}): Promise<DatagramSocket> {
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    const channel = new DatagramChannel({
      host: this.#host,
      id: newUuid(this.#host.crypto),
      opener: true,
      observe: this.#observe?.(),
      policies: this.#policies,
    })
    await this.#answer(channel, (onAnswer) => channel.connect(onAnswer), signal)
    return channel
  }

  /** Waits for the far end's answer; on time-out or cancel the channel is aborted, so that no orphan stays. */
  #answer(
    channel: Abortable,
    connect: (onAnswer: (error?: LinkSocksError) => void) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // every connection comes by here: no signal is made for the deadline
    return new Promise((resolve, reject) => {
      let settled = false
      const settle = (error?: LinkSocksError): void => {
        if (settled) return
        settled = true
        timer.cancel()
        signal?.removeEventListener('abort', cancel)
        if (error === undefined) return resolve()
        // gone already, unless nobody waits any more or the Connect could not even be written
        channel.abort(error)
        reject(error)
      }
      const cancel = (): void => settle(signal && LinkSocksError.cancelled(signal))
      const timer = this.#host.clock.after(OPEN_TIMEOUT_MS, () =>
        settle(new LinkSocksError('ERR_DIAL_TIMEOUT', 'the far end did not answer in time')),
      )
      signal?.addEventListener('abort', cancel)
      try {
        connect(settle)
      } catch (thrown) {
        settle(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
      }
    })
  }
}

/** A longer host would be cut on the wire, and name another one. */
function checkHost(host: string): void {
  if (host !== '' && encodeUtf8(host).byteLength <= MAX_STR8_BYTES) return
  throw new LinkSocksError('ERR_DIAL_ADDRESS', `host of 1 to ${MAX_STR8_BYTES} bytes expected`)
}
