import { LinkSocksError } from '../errors.js'
import type { AbortOptions, ByteStream } from '../ports.js'
import { ReceiveBuffer, ReleasedStream } from './released-stream.js'

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
 * A stream while a small handshake is read from it. Starts `stream` at once; `release()` hands it on with whatever
 * was received beyond the handshake, so bytes that share a segment with it are kept.
 *
 * What the far side sends early is held here and not consumed: the stream's own bound limits it (which must leave room for
 * one message).
 */
export class HandshakeStream {
  /** Settles when nothing follows on the stream, released or not: `undefined` after an orderly end. Never rejects. */
  readonly closed: Promise<LinkSocksError | undefined>
  readonly #stream: ByteStream
  readonly #maxMessageBytes: number
  readonly #received = new ReceiveBuffer()
  #read: PendingRead | undefined
  #released: ReleasedStream | undefined
  #ended = false
  #over: { readonly error: LinkSocksError | undefined } | undefined
  /** Bytes of the handshake whose `written` is still to come; they are not the released stream's. */
  #unwritten = 0
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
      written: (bytes) => this.#written(bytes),
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
    if (this.#read !== undefined || this.#released !== undefined) {
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
    if (this.#over === undefined) this.#unwritten += bytes.length
    this.#stream.write(bytes)
  }

  /**
   * Ends the handshake: the stream returned delivers first what was received and not read, then the rest, and reports
   * `written` for its own bytes only. Called once, with no read pending.
   */
  release(): ByteStream {
    const released = new ReleasedStream(this.#stream, this.#received)
    this.#released = released
    if (this.#ended) released.onEnd()
    if (this.#over !== undefined) released.onClose(this.#over.error)
    return released
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
    if (this.#released !== undefined) return this.#released.onData(chunk)
    this.#received.append(chunk)
    this.#attempt()
  }

  #end(): void {
    this.#ended = true
    if (this.#released !== undefined) this.#released.onEnd()
    else this.#failEnded()
  }

  #written(bytes: number): void {
    const own = Math.min(bytes, this.#unwritten)
    this.#unwritten -= own
    if (bytes > own) this.#released?.onWritten(bytes - own)
  }

  #close(error: LinkSocksError | undefined): void {
    this.#over = { error }
    if (this.#released !== undefined) this.#released.onClose(error)
    else this.#failEnded()
  }

  #failEnded(): void {
    if (this.#read === undefined || (!this.#ended && this.#over === undefined)) return
    this.#fail(
      this.#over?.error ?? new LinkSocksError('ERR_STREAM_RESET', 'connection ended in the middle of the handshake'),
    )
  }
}
