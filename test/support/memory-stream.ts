import { LinkSocksError } from '../../src/errors.js'
import type { ByteStream, ByteStreamHandler } from '../../src/ports.js'

export interface MemoryStreamOptions {
  /** Longest piece delivered at once; 1 splits the input at every byte. @default unlimited */
  readonly chunkSize?: number
  /** Bytes delivered beyond what was consumed. @default 262_144 */
  readonly readAheadBytes?: number
}

/** Two streams joined in memory: what the one writes, the other delivers, asynchronously. */
export function memoryStreamPair(options: MemoryStreamOptions = {}): [MemoryStream, MemoryStream] {
  const a = new MemoryStream(options)
  const b = new MemoryStream(options)
  MemoryStream.join(a, b)
  return [a, b]
}

/**
 * One end of a pair. As with TCP, the other side sees `close()` as `end()`, its own `close` event comes once it has
 * ended too, and what it still writes is thrown away.
 */
export class MemoryStream implements ByteStream {
  readonly #chunkSize: number
  readonly #readAheadBytes: number
  #peer: MemoryStream = this
  #handler: ByteStreamHandler | undefined
  #queue: Uint8Array[] = []
  #writable = true
  #finSent = false
  #closing = false
  #endReceived = false
  #unconsumed = 0
  #writtenEarly = 0
  #closed: { readonly error: LinkSocksError | undefined } | undefined
  #toldClosed = false
  #scheduled = false

  constructor(options: MemoryStreamOptions) {
    this.#chunkSize = options.chunkSize ?? Number.POSITIVE_INFINITY
    this.#readAheadBytes = options.readAheadBytes ?? 256 * 1024
  }

  static join(a: MemoryStream, b: MemoryStream): void {
    a.#peer = b
    b.#peer = a
  }

  /** Bytes delivered and not consumed. */
  get unconsumed(): number {
    return this.#unconsumed
  }

  /** Bytes written that the other side has not been given. */
  get queued(): number {
    return this.#queue.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  get started(): boolean {
    return this.#handler !== undefined
  }

  /** Both directions are over (the handler may not have heard if it has not been started). */
  get closed(): boolean {
    return this.#closed !== undefined
  }

  start(handler: ByteStreamHandler): void {
    if (this.#handler !== undefined) throw new Error('start() called twice')
    this.#handler = handler
    queueMicrotask(() => {
      if (this.#writtenEarly > 0 && !this.#toldClosed) handler.written(this.#writtenEarly)
      this.#writtenEarly = 0
      if (this.#closed === undefined) this.#peer.#schedule()
      else if (!this.#toldClosed) handler.close(this.#closed.error)
      this.#toldClosed = this.#closed !== undefined
    })
  }

  consume(bytes: number): void {
    if (bytes > this.#unconsumed) throw new Error(`consumed ${bytes} of ${this.#unconsumed} bytes`)
    this.#unconsumed -= bytes
    this.#peer.#schedule()
  }

  write(chunk: Uint8Array): void {
    if (!this.#writable || chunk.length === 0) return
    this.#queue.push(chunk)
    this.#schedule()
  }

  end(): void {
    this.#writable = false
    this.#schedule()
  }

  close(): void {
    if (this.#closed !== undefined || this.#closing) return
    this.#closing = true
    this.#writable = false
    this.#schedule()
    this.#peer.#schedule()
  }

  abort(reason: LinkSocksError): void {
    if (this.#closed !== undefined) return
    this.#finish(reason)
    queueMicrotask(() => this.#peer.#finish(new LinkSocksError('ERR_STREAM_RESET', 'the other side reset the stream')))
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed !== undefined) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      if (this.#closed === undefined) this.#step()
    })
  }

  /** Moves one piece, or the FIN, to the other side. */
  #step(): void {
    const peer = this.#peer
    const discard = peer.#closing || peer.#closed !== undefined
    if (!discard && peer.#handler === undefined) return
    const chunk = this.#queue.shift()
    if (chunk === undefined) {
      if (!this.#writable && !this.#finSent) this.#sendFin(peer, discard)
      return
    }
    const room = discard ? chunk.length : Math.min(this.#chunkSize, this.#readAheadBytes - peer.#unconsumed)
    const piece = chunk.slice(0, Math.max(0, room))
    if (piece.length < chunk.length) this.#queue.unshift(chunk.subarray(piece.length))
    if (piece.length === 0) return
    if (!discard) {
      peer.#unconsumed += piece.length
      peer.#handler?.data(piece)
    }
    if (this.#closed !== undefined) return
    if (this.#handler === undefined) this.#writtenEarly += piece.length
    else this.#handler.written(piece.length)
    this.#schedule()
  }

  #sendFin(peer: MemoryStream, discard: boolean): void {
    this.#finSent = true
    peer.#endReceived = true
    if (!discard) peer.#handler?.end()
    if (this.#closing || this.#endReceived) this.#finish(undefined)
    if (peer.#finSent) peer.#finish(undefined)
  }

  #finish(error: LinkSocksError | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { error }
    this.#writable = false
    this.#queue = []
    this.#toldClosed = this.#handler !== undefined
    this.#handler?.close(error)
    this.#peer.#schedule()
  }
}

export { collect, TestPeer } from './test-peer.js'
