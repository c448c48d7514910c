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
  /** Tries once more; true when the read settled. */
  attempt(): boolean
  fail(error: LinkSocksError): void
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

  constructor(stream: ByteStream, options: HandshakeStreamOptions = {}) {
    this.#stream = stream
    this.#maxMessageBytes = options.maxMessageBytes ?? HANDSHAKE_MESSAGE_BYTES
    const { promise, resolve } = deferred<LinkSocksError | undefined>()
    this.closed = promise
    stream.start({
      data: (chunk) => this.#data(chunk),
      end: () => this.#end(),
      written: (bytes) => this.#written(bytes),
      close: (error) => {
        this.#close(error)
        resolve(error)
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
    const { promise, resolve, reject } = deferred<T>()
    const onAbort = (): void => {
      if (signal !== undefined) read.fail(LinkSocksError.cancelled(signal))
    }
    const settled = (): void => {
      signal?.removeEventListener('abort', onAbort)
      if (this.#read === read) this.#read = undefined
    }
    const read: PendingRead = {
      attempt: () => {
        try {
          const decoded = this.#decode(decode)
          if (decoded === undefined) return false
          resolve(decoded.value)
        } catch (error) {
          reject(error)
        }
        settled()
        return true
      },
      fail: (error) => {
        reject(error)
        settled()
      },
    }
    if (read.attempt()) return promise
    this.#read = read
    signal?.addEventListener('abort', onAbort)
    this.#failEnded()
    return promise
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
    if (this.#ended) released.end()
    if (this.#over !== undefined) released.finish(this.#over.error)
    return released.stream
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
    if (this.#released !== undefined) return this.#released.data(chunk)
    this.#received.append(chunk)
    this.#read?.attempt()
  }

  #end(): void {
    this.#ended = true
    if (this.#released !== undefined) this.#released.end()
    else this.#failEnded()
  }

  #written(bytes: number): void {
    const own = Math.min(bytes, this.#unwritten)
    this.#unwritten -= own
    if (bytes > own) this.#released?.written(bytes - own)
  }

  #close(error: LinkSocksError | undefined): void {
    this.#over = { error }
    if (this.#released !== undefined) this.#released.finish(error)
    else this.#failEnded()
  }

  #failEnded(): void {
    if (!this.#ended && this.#over === undefined) return
    this.#read?.fail(
      this.#over?.error ?? new LinkSocksError('ERR_STREAM_RESET', 'connection ended in the middle of the handshake'),
    )
  }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
