import { LinkSocksError } from '../errors.js'
import type { AbortOptions, ByteStream } from '../ports.js'
import { ReceiveBuffer } from './receive-buffer.js'

/** Longest message of a handshake (an HTTP proxy's answer is the longest one there is). */
export const HANDSHAKE_MESSAGE_BYTES = 16 * 1024

/** What a codec read; bytes from `bytesRead` on belong to whoever reads next. */
export interface Decoded<T> {
  readonly value: T
  readonly bytesRead: number
}

/** Reads one message from the start of `buf`; `undefined` while it is too short. */
export type Decode<T> = (buf: Uint8Array) => Decoded<T> | undefined

export interface HandshakeStreamOptions {
  /** Longest message that read() waits for, in bytes. @default {@link HANDSHAKE_MESSAGE_BYTES} */
  readonly maxMessageBytes?: number
}

interface PendingRead {
  readonly decode: Decode<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | undefined
}

/**
 * A stream while a small handshake is read from it. Starts `stream` at once; `release()` gives it back with whatever
 * was received beyond the handshake, so bytes that share a segment with it are kept.
 *
 * What the far side sends early is held here and not consumed: the stream's own bound limits it (which must leave room for
 * one message).
 */
export class HandshakeStream {
  /** Settles when nothing follows on the stream: `undefined` after an orderly end. Never rejects, nor settles after `release()`. */
  readonly closed: Promise<LinkSocksError | undefined>
  readonly #stream: ByteStream
  readonly #maxMessageBytes: number
  readonly #received = new ReceiveBuffer()
  #read: PendingRead | undefined
  #released = false
  #ended = false
  #over: { readonly error: LinkSocksError | undefined } | undefined
  readonly #onAbort = (): void => {
    const signal = this.#read?.signal
    if (signal !== undefined) this.#fail(LinkSocksError.cancelled(signal))
  }

  constructor(stream: ByteStream, options: HandshakeStreamOptions = {}) {
    this.#stream = stream
    this.#maxMessageBytes = options.maxMessageBytes ?? HANDSHAKE_MESSAGE_BYTES
    let closed: (error: LinkSocksError | undefined) => void = () => {}
    this.closed = new Promise((resolve) => {
      closed = resolve
    })
    stream.start({
      data: (chunk) => this.#data(chunk),
      end: () => this.#end(),
      written: () => {},
      close: (error) => {
        this.#close(error)
        closed(error)
      },
    })
  }

  /**
   * Reads one message; one read at a time. What `decode` returns may refer to memory of `buf`.
   * @throws {LinkSocksError} what `decode` threw; ERR_LIMIT (no whole message within the limit); ERR_STREAM_RESET (the far
   * side ended before it was whole) or the error the stream closed with; ERR_CANCELLED. The stream stays open.
   */
  read<T>(decode: Decode<T>, { signal }: AbortOptions = {}): Promise<T> {
    if (signal?.aborted) return Promise.reject(LinkSocksError.cancelled(signal))
    if (this.#read !== undefined || this.#released) {
      return Promise.reject(new LinkSocksError('ERR_LIMIT', 'one read at a time, and none after release()'))
    }
    return new Promise<T>((resolve, reject) => {
      this.#read = { decode, resolve: resolve as (value: unknown) => void, reject, signal }
      signal?.addEventListener('abort', this.#onAbort)
      this.#attempt()
      this.#failEnded()
    })
  }

  /** Nothing follows on the stream any more: `closed` is about to settle, or has. */
  get over(): boolean {
    return this.#over !== undefined
  }

  /** Queues a message of the handshake. */
  write(bytes: Uint8Array): void {
    this.#stream.write(bytes)
  }

  /**
   * Ends the handshake and gives the stream back, to be started: it delivers first what was received and not read, then
   * the rest, and reports `written` for what is written from here on. Called once, with no read pending.
   */
  release(): ByteStream {
    this.#released = true
    const unread = this.#received.takeAll()
    this.#stream.handBack(unread.length === 0 ? [] : [unread])
    return this.#stream
  }

  /** As of ByteStream. */
  end(): void {
    this.#stream.end()
  }

  /** As of ByteStream: what was written is flushed. */
  close(): void {
    this.#stream.close()
  }

  /** As of ByteStream. */
  abort(reason: LinkSocksError): void {
    this.#stream.abort(reason)
  }

  #attempt(): void {
    const read = this.#read
    if (read === undefined) return
    try {
      const decoded = this.#decode(read.decode)
      if (decoded === undefined) return
      this.#settled(read)
      read.resolve(decoded.value)
    } catch (thrown) {
      this.#settled(read)
      read.reject(thrown)
    }
  }

  #settled(read: PendingRead): void {
    this.#read = undefined
    read.signal?.removeEventListener('abort', this.#onAbort)
  }

  #fail(error: LinkSocksError): void {
    const read = this.#read
    if (read === undefined) return
    this.#settled(read)
    read.reject(error)
  }

  #decode<T>(decode: Decode<T>): Decoded<T> | undefined {
    const received = this.#received.view()
    const decoded = received.length === 0 ? undefined : decode(received.subarray(0, this.#maxMessageBytes))
    if (decoded === undefined) {
      if (received.length < this.#maxMessageBytes) return undefined
      throw new LinkSocksError('ERR_LIMIT', `handshake message longer than ${this.#maxMessageBytes} bytes`)
    }
    this.#received.take(decoded.bytesRead)
    if (decoded.bytesRead > 0) this.#stream.consume(decoded.bytesRead)
    return decoded
  }

  #data(chunk: Uint8Array): void {
    this.#received.append(chunk)
    this.#attempt()
  }

  #end(): void {
    this.#ended = true
    this.#failEnded()
  }

  #close(error: LinkSocksError | undefined): void {
    this.#over = { error }
    this.#failEnded()
  }

  #failEnded(): void {
    if (this.#read === undefined || (!this.#ended && this.#over === undefined)) return
    this.#fail(
      this.#over?.error ?? new LinkSocksError('ERR_STREAM_RESET', 'connection ended in the middle of the handshake'),
    )
  }
}
