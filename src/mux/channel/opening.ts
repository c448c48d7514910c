import { LinkSocksError } from '../../errors.js'
import type { Target, Timer } from '../../ports.js'
import { INITIAL_WINDOW_BYTES, OPEN_TIMEOUT_MS } from '../../protocol/limits.js'
import { ChannelProtocol, encodeConnect, encodeConnectResponse } from '../../protocol/messages.js'
import { encodeRefusal } from '../../protocol/refusal.js'
import type { ChannelHost } from './channel-host.js'

/** Opener: the destination answered, or why not. Accepter: the asker is gone. */
export type OnAnswer = (error?: LinkSocksError) => void

/** The Connect of a tcp channel and its answer, as either end sends them (docs/protocol.md A.4, B.1). */
export class Opening {
  readonly #host: Pick<ChannelHost, 'control' | 'clock'>
  readonly #channelId: Uint8Array
  #onAnswer: OnAnswer | undefined
  #deciding: Timer | undefined

  constructor(host: Pick<ChannelHost, 'control' | 'clock'>, channelId: Uint8Array) {
    this.#host = host
    this.#channelId = channelId
  }

  /** Sends the Connect, with our offer of stream control and the policies that hold for it. */
  connect(target: Target, policies: readonly number[] | undefined, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer
    const trailer = { streamControl: INITIAL_WINDOW_BYTES, policies }
    this.#host.control(encodeConnect({ protocol: ChannelProtocol.Tcp, channelId: this.#channelId, target, trailer }))
  }

  /** Who is told by `answer()`, in place of the one before. */
  onAnswer(callback: OnAnswer): void {
    this.#onAnswer = callback
  }

  /** Sends a success; stream control is granted to who offered it. Nobody is told. */
  accept(offer: number | undefined): void {
    this.#onAnswer = undefined
    const trailer = offer === undefined ? undefined : { streamControl: INITIAL_WINDOW_BYTES }
    this.#host.control(encodeConnectResponse({ success: true, channelId: this.#channelId, trailer }))
  }

  /** Sends a failure; nobody is told. @returns who would have been. */
  refuse(reason: LinkSocksError): OnAnswer | undefined {
    const onAnswer = this.#onAnswer
    this.#onAnswer = undefined
    this.#host.control(encodeRefusal(this.#channelId, reason))
    return onAnswer
  }

  /** Tells of the answer, once. */
  answer(error?: LinkSocksError): void {
    const onAnswer = this.#onAnswer
    this.#onAnswer = undefined
    onAnswer?.(error)
  }

  /** The channel is over: whoever still waits for an answer hears of it. */
  fail(error: LinkSocksError | undefined): void {
    if (this.#onAnswer === undefined) return
    this.answer(error ?? new LinkSocksError('ERR_CHANNEL_RESET', 'the far end closed the stream'))
  }

  /**
   * Deployed relays reorder: data before the ConnectResponse means that the destination answered. Whether the channel
   * has credit is still for the ConnectResponse to say; a relay that lost it never had credit to pass on.
   * @param decide called when the ConnectResponse has not come by then.
   */
  answeredByData(decide: () => void): void {
    this.#deciding ??= this.#host.clock.after(OPEN_TIMEOUT_MS, decide)
    this.answer()
  }

  /** The ConnectResponse came, or nothing more will. */
  stop(): void {
    this.#deciding?.cancel()
  }
}
