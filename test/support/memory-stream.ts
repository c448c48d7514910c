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
  /** Was given to start(), and becomes the handler in a moment. */
  #starting: ByteStreamHandler | undefined
  #unread: Uint8Array[] = []
  /** After close() and abort(): nothing is delivered. */
  #muted = false
  #queue: Uint8Array[] = []
  #writable = true
  #finSent = false
  #closing = false
  #endReceived = false
  #unconsumed = 0
  #writtenEarly = 0
  /** Bytes at the front of the queue that were written before handBack(). */
  #disowned = 0
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
    return this.#handler !== undefined || this.#starting !== undefined
  }

  /** Both directions are over (the handler may not have heard if it has not been started). */
  get closed(): boolean {
    return this.#closed !== undefined
  }

  start(handler: ByteStreamHandler): void {
    if (this.started) throw new TypeError('start() was called before')
    this.#starting = handler
    queueMicrotask(() => {
      if (this.#starting === handler) this.#begin(handler)
    })
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    this.#starting = undefined
    if (!this.#muted) this.#unread = [...unread, ...this.#unread]
    this.#writtenEarly = 0
    this.#disowned = this.queued
    this.#toldClosed = false
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
    this.#mute()
    if (this.#closed !== undefined || this.#closing) return
    this.#closing = true
    this.#writable = false
    this.#schedule()
    this.#peer.#schedule()
  }

  abort(reason: LinkSocksError): void {
    this.#mute()
    if (this.#closed !== undefined) return
    this.#finish(reason)
    queueMicrotask(() => this.#peer.#finish(new LinkSocksError('ERR_STREAM_RESET', 'the other side reset the stream')))
  }

  /** The handler may end the stream or hand it back meanwhile. */
  #begin(handler: ByteStreamHandler): void {
    const current = (): boolean => this.#handler === handler
    this.#starting = undefined
    this.#handler = handler
    const written = this.#writtenEarly
    this.#writtenEarly = 0
    if (written > 0) handler.written(written)
    while (current() && this.#unread.length > 0) handler.data(this.#unread.shift() as Uint8Array)
    if (current() && this.#endReceived && !this.#muted) handler.end()
    if (this.#closed === undefined) this.#peer.#schedule()
    else if (current() && !this.#toldClosed) this.#reportClosed(handler)
  }

  #mute(): void {
    this.#muted = true
    this.#unread = []
  }

  #reportClosed(handler: ByteStreamHandler): void {
    this.#toldClosed = true
    handler.close(this.#closed?.error)
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
    this.#left(piece.length)
    this.#schedule()
  }

  #left(bytes: number): void {
    const disowned = Math.min(bytes, this.#disowned)
    this.#disowned -= disowned
    if (this.#handler === undefined) this.#writtenEarly += bytes - disowned
    else if (bytes > disowned) this.#handler.written(bytes - disowned)
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
    if (this.#handler !== undefined) this.#reportClosed(this.#handler)
    this.#peer.#schedule()
  }
}

export { collect, TestPeer } from './test-peer.js'
