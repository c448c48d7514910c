import { LinkSocksError } from '../errors.js'
import type { AbortOptions, MessageTransport, TransportClose, TransportHandler } from '../ports.js'
import { lossOf } from './loss.js'

/** Messages that may wait before anybody asks for them; then the transport is not read until somebody does. */
export const MAX_HANDSHAKE_MESSAGES = 64

/** Reads the first messages of a transport one by one, then hands the transport on with nothing lost. */
export class HandshakeTransport {
  readonly #transport: MessageTransport
  #waiting: Uint8Array[] = []
  #closed: TransportClose | undefined
  #handler: TransportHandler | undefined
  #wake: (() => void) | undefined
  #paused = false

  constructor(transport: MessageTransport) {
    this.#transport = transport
    transport.start({
      message: (data) => this.#onMessage(data),
      activity: () => this.#handler?.activity(),
      pong: () => this.#handler?.pong?.(),
      drain: () => this.#handler?.drain(),
      close: (info) => this.#onClose(info),
    })
  }

  /**
   * The next message. One reader at a time.
   * @throws {LinkSocksError} ERR_LINK_LOST when the transport closed first, ERR_CANCELLED or the signal's reason
   */
  async next({ signal }: AbortOptions = {}): Promise<Uint8Array> {
    while (true) {
      if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
      const message = this.#waiting.shift()
      if (message !== undefined) {
        this.#resume()
        return message
      }
      if (this.#closed !== undefined) throw lossOf(this.#closed)
      await this.#woken(signal)
    }
  }

  send(message: Uint8Array): void {
    this.#transport.send(message)
  }

  close(code: number, reason: string): void {
    this.#transport.close(code, reason)
  }

  abort(): void {
    this.#transport.abort()
  }

  /** The transport, for one `start()`: what was not read here comes first. */
  release(): MessageTransport {
    const transport = this.#transport
    return {
      get bufferedAmount() {
        return transport.bufferedAmount
      },
      start: (handler) => this.#start(handler),
      send: (head, body, sent) => transport.send(head, body, sent),
      recycle: (data) => transport.recycle(data),
      retain: (data) => transport.retain(data),
      release: (data) => transport.release(data),
      ping: () => transport.ping(),
      pong: () => transport.pong(),
      pause: () => transport.pause(),
      resume: () => transport.resume(),
      close: (code, reason) => transport.close(code, reason),
      abort: (reason) => transport.abort(reason),
      lose: (reason) => transport.lose(reason),
    }
  }

  #start(handler: TransportHandler): void {
    const closed = this.#closed
    this.#handler = handler
    for (const message of this.#waiting.splice(0)) handler.message(message)
    if (closed !== undefined) handler.close(closed)
    else this.#resume()
  }

  #onMessage(data: Uint8Array): void {
    if (this.#handler !== undefined) return this.#handler.message(data)
    this.#waiting.push(data)
    if (this.#waiting.length >= MAX_HANDSHAKE_MESSAGES && !this.#paused) {
      this.#paused = true
      this.#transport.pause()
    }
    this.#wake?.()
  }

  #resume(): void {
    if (!this.#paused || this.#waiting.length > 0) return
    this.#paused = false
    this.#transport.resume()
  }

  #onClose(info: TransportClose): void {
    this.#closed = info
    this.#wake?.()
    this.#handler?.close(info)
  }

  #woken(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal?.addEventListener('abort', wake)
    })
  }
}
