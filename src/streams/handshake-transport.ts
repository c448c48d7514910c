import { LinkSocksError } from '../errors.js'
import type { AbortOptions, MessageTransport, TransportClose } from '../ports.js'
import { lossOf } from './loss.js'

/** Messages that may wait before anybody asks for them; then the transport is not read until somebody does. */
export const MAX_HANDSHAKE_MESSAGES = 64

/** Reads the first messages of a transport one by one, then gives the transport back with nothing lost. */
export class HandshakeTransport {
  readonly #transport: MessageTransport
  #waiting: Uint8Array[] = []
  #closed: TransportClose | undefined
  #wake: (() => void) | undefined
  #paused = false

  constructor(transport: MessageTransport) {
    this.#transport = transport
    transport.start({
      message: (data) => this.#onMessage(data),
      activity: () => {},
      drain: () => {},
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

  /** Gives the transport back, to be started: what was not read here comes first. Called once, with no read pending. */
  release(): MessageTransport {
    this.#transport.handBack(this.#waiting.splice(0))
    this.#resume()
    return this.#transport
  }

  #onMessage(data: Uint8Array): void {
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
