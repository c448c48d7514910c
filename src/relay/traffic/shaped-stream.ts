import { LinkSocksError } from '../../errors.js'
import { HandlerEvents } from '../../mux/channel/handler-events.js'
import type { ByteStream, ByteStreamHandler, Clock } from '../../ports.js'
import { Fifo } from '../../streams/fifo.js'
import { Flow } from './flow.js'
import type { TokenTraffic } from './token-traffic.js'

export interface ShapedStreamOptions {
  readonly clock: Clock
  /** Whose limits hold, the closest first. */
  readonly tokens: readonly TokenTraffic[]
}

/**
 * A stream to a destination, as fast and as far as the rates and quotas of tokens let it through. What is over them waits here and is not
 * used up, so that its sender stops: at most one window of a channel, or what a socket reads ahead.
 */
export class ShapedStream implements ByteStream {
  readonly #inner: ByteStream
  readonly #up: Flow
  readonly #down: Flow
  readonly #events = new HandlerEvents()
  #handler: ByteStreamHandler | undefined
  #begun = false
  /** Written, and waiting to go on. */
  readonly #out = new Fifo<Uint8Array>()
  #outBytes = 0
  /** Given to the stream below, and not left yet. */
  #unsentBytes = 0
  /** How the owner ended, which waits behind what it wrote. */
  #leaving: 'no' | 'end' | 'close' = 'no'
  #left: 'no' | 'end' | 'close' = 'no'
  /** Handed back: it has passed before. */
  #unread: Uint8Array[] = []
  /** Received, and waiting to be delivered. */
  readonly #in = new Fifo<Uint8Array>()
  #delivering = false
  /** The far side half-closed, and the handler was told. */
  #end: 'no' | 'come' | 'told' = 'no'
  /** The stream below is over, or the owner gave it up. */
  #closed: { readonly error: LinkSocksError | undefined } | undefined

  constructor(inner: ByteStream, { clock, tokens }: ShapedStreamOptions) {
    this.#inner = inner
    const refused = (why: string): void => this.abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', why))
    this.#up = new Flow({ clock, tokens, direction: 'up', ready: () => this.#flush(), refused })
    this.#down = new Flow({ clock, tokens, direction: 'down', ready: () => this.#deliver(), refused })
  }

  start(handler: ByteStreamHandler): void {
    this.#events.start(handler, () => {
      this.#handler = handler
      this.#begin()
      this.#deliver()
    })
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.#handler = undefined
    // the next one hears of it as well
    if (this.#end === 'told') this.#end = 'come'
    this.#events.handBack(this.#unsentBytes + this.#outBytes)
    if (this.#leaving !== 'close') this.#unread = [...unread, ...this.#unread]
  }

  consume(bytes: number): void {
    this.#inner.consume(bytes)
  }

  write(chunk: Uint8Array): void {
    if (this.#leaving !== 'no' || this.#closed !== undefined || chunk.byteLength === 0) return
    this.#out.push(chunk)
    this.#outBytes += chunk.byteLength
    this.#flush()
  }

  end(): void {
    if (this.#leaving !== 'no') return
    this.#leaving = 'end'
    this.#flush()
  }

  close(): void {
    if (this.#leaving === 'close') return
    this.#leaving = 'close'
    this.#discard()
    this.#flush()
    this.#tell()
  }

  abort(reason: LinkSocksError): void {
    if (this.#left === 'close' && this.#closed === undefined) return this.#inner.abort(reason)
    this.#leaving = 'close'
    this.#left = 'close'
    this.#discard()
    this.#drop()
    this.#inner.abort(reason)
    // it was over, and what it brought was still to be delivered
    this.#closed = { error: this.#closed === undefined ? reason : (this.#closed.error ?? reason) }
    this.#tell()
  }

  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#inner.start({
      data: (chunk) => {
        if (this.#leaving === 'close') return
        this.#in.push(chunk)
        this.#deliver()
      },
      end: () => {
        this.#end = 'come'
        this.#deliver()
      },
      written: (bytes) => {
        this.#unsentBytes -= bytes
        this.#events.written(bytes)
      },
      close: (error) => this.#innerClosed(error),
    })
  }

  #innerClosed(error: LinkSocksError | undefined): void {
    this.#closed ??= { error }
    this.#drop()
    // of what waits on an aborted stream bytes may be missing anyway
    if (error !== undefined) this.#discard()
    this.#deliver()
  }

  /** Passes on what was written, as far as it may go. */
  #flush(): void {
    for (let first = this.#out.first; first !== undefined; first = this.#out.first) {
      const bytes = this.#up.available(first.byteLength)
      if (bytes === 0) return
      this.#up.take(bytes)
      if (bytes === first.byteLength) this.#out.shift()
      else this.#out.replaceFirst(first.subarray(bytes))
      this.#outBytes -= bytes
      this.#unsentBytes += bytes
      this.#inner.write(bytes === first.byteLength ? first : first.subarray(0, bytes))
    }
    if (this.#leaving === this.#left || this.#closed !== undefined) return
    this.#left = this.#leaving
    if (this.#left === 'end') return this.#inner.end()
    this.#up.close()
    // whoever was never started would not hear of its end
    this.#begin()
    this.#inner.close()
  }

  /** Delivers what was received, as far as it may go, and then the end. */
  #deliver(): void {
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (this.#deliverNext());
    } finally {
      this.#delivering = false
    }
    this.#tell()
  }

  /** @returns whether there may be more */
  #deliverNext(): boolean {
    const handler = this.#handler
    if (handler === undefined) return false
    const unread = this.#unread.shift()
    if (unread !== undefined) {
      handler.data(unread)
      return true
    }
    const first = this.#in.first
    const bytes = first === undefined ? 0 : this.#down.available(first.byteLength)
    if (first === undefined || bytes === 0) return false
    this.#down.take(bytes)
    if (bytes === first.byteLength) this.#in.shift()
    else this.#in.replaceFirst(first.subarray(bytes))
    handler.data(bytes === first.byteLength ? first : first.subarray(0, bytes))
    return true
  }

  /** Tells of the end, once everything before it is delivered. */
  #tell(): void {
    if (this.#delivering || this.#in.length > 0 || this.#unread.length > 0) return
    if (this.#handler === undefined && this.#leaving !== 'close') return
    if (this.#end === 'come' && this.#leaving !== 'close') {
      this.#end = 'told'
      this.#handler?.end()
    }
    if (this.#closed === undefined) return
    this.#down.close()
    if (this.#events.close(this.#closed.error)) this.#events.emitClose()
  }

  /** Nothing of what was received is wanted any more. */
  #discard(): void {
    this.#unread = []
    this.#in.clear()
    this.#down.close()
  }

  /** Nothing of what was written goes on any more. */
  #drop(): void {
    this.#out.clear()
    this.#outBytes = 0
    this.#up.close()
  }
}
