import { LinkSocksError } from '../errors.js'
import type { AbortOptions, MessageTransport, TransportClose } from '../ports.js'
import { lossOf } from './loss.js'

/** Messages that may wait before anybody asks for them; then the transport is not read until somebody does. */
export const MAX_HANDSHAKE_MESSAGES = 64
/** Bytes of them from which on it is not read either. */
export const MAX_HANDSHAKE_BYTES = 256 * 1024

/** Reads the first messages of a transport one by one, then gives the transport back with nothing lost. */
export class HandshakeTransport {
  readonly #transport: MessageTransport
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #gone: AbortController | undefined
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
        this.#waitingBytes -= message.byteLength
        this.#resume()
        return message
      }
      if (this.#closed !== undefined) throw lossOf(this.#closed)
      await this.#woken(signal)
    }
  }

  /** Aborted when the transport has closed; of no use after release(). */
  get gone(): AbortSignal {
    this.#gone ??= new AbortController()
    if (this.#closed !== undefined) this.#gone.abort()
    return this.#gone.signal
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
    this.#waitingBytes = 0
    this.#transport.handBack(this.#waiting.splice(0))
    this.#resume()
    return this.#transport
  }

  #onMessage(data: Uint8Array): void {
    this.#waiting.push(data)
    this.#waitingBytes += data.byteLength
    const full = this.#waiting.length >= MAX_HANDSHAKE_MESSAGES || this.#waitingBytes >= MAX_HANDSHAKE_BYTES
    if (full && !this.#paused) {
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
    this.#gone?.abort()
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
