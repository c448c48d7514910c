import { LinkSocksError } from '../../errors.js'
import { HandlerEvents } from '../../mux/channel/handler-events.js'
import type { ByteStream, ByteStreamHandler } from '../../ports.js'
import { Fifo } from '../../streams/fifo.js'
import type { Flow } from './flow.js'
import type { Shaping } from './shaping.js'
import type { Direction } from './usage.js'

/** Chunks that wait; an idle stream has none. */
type Waiting = Fifo<Uint8Array> | undefined

/**
 * A stream to a destination, as fast and as far as the rates and quotas of tokens let it through. What is over them waits here and is not
 * used up, so that its sender stops: at most one window of a channel, or what a socket reads ahead.
 */
export class ShapedStream implements ByteStream {
  readonly #inner: ByteStream
  readonly #shaping: Shaping
  /** Made when it is limited. */
  #up: Flow | undefined
  #down: Flow | undefined
  readonly #events = new HandlerEvents()
  #handler: ByteStreamHandler | undefined
  #begun = false
  /** Written, and waiting to go on. */
  #out: Waiting
  #outBytes = 0
  /** Given to the stream below, and not left yet. */
  #unsentBytes = 0
  /** How the owner ended, which waits behind what it wrote. */
  #leaving: 'no' | 'end' | 'close' = 'no'
  #left: 'no' | 'end' | 'close' = 'no'
  /** Handed back: it has passed before. */
  #unread: Uint8Array[] | undefined
  /** Received, and waiting to be delivered. */
  #in: Waiting
  #delivering = false
  /** The far side half-closed, and the handler was told. */
  #end: 'no' | 'come' | 'told' = 'no'
  /** The stream below is over, or the owner gave it up. */
  #closed: { readonly error: LinkSocksError | undefined } | undefined

  constructor(inner: ByteStream, shaping: Shaping) {
    this.#inner = inner
    this.#shaping = shaping
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
    if (this.#leaving !== 'close' && unread.length > 0) this.#unread = [...unread, ...(this.#unread ?? [])]
  }

  consume(bytes: number): void {
    this.#inner.consume(bytes)
  }

  write(chunk: Uint8Array): void {
    if (this.#leaving !== 'no' || this.#closed !== undefined || chunk.byteLength === 0) return
    if (this.#out === undefined && this.#available('up', chunk.byteLength) === chunk.byteLength) {
      this.#take('up', chunk.byteLength)
      return this.#send(chunk)
    }
    this.#out ??= new Fifo()
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

  /** For the stream below. */
  received(chunk: Uint8Array): void {
    if (this.#leaving === 'close') return
    const handler = this.#delivering || this.#in !== undefined || this.#unread !== undefined ? undefined : this.#handler
    if (handler !== undefined && this.#available('down', chunk.byteLength) === chunk.byteLength) {
      this.#take('down', chunk.byteLength)
      return handler.data(chunk)
    }
    this.#in ??= new Fifo()
    this.#in.push(chunk)
    this.#deliver()
  }

  /** For the stream below: the far side half-closed. */
  receivedEnd(): void {
    this.#end = 'come'
    this.#deliver()
  }

  /** For the stream below: so much has left. */
  sent(bytes: number): void {
    this.#unsentBytes -= bytes
    this.#events.written(bytes)
  }

  /** For the stream below: nothing follows. */
  over(error: LinkSocksError | undefined): void {
    this.#closed ??= { error }
    this.#drop()
    // of what waits on an aborted stream bytes may be missing anyway
    if (error !== undefined) this.#discard()
    this.#deliver()
  }

  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#inner.start(new Below(this))
  }

  #available(direction: Direction, bytes: number): number {
    const flow = direction === 'up' ? this.#up : this.#down
    if (flow !== undefined) return flow.available(bytes)
    return this.#shaping.limits(direction) ? this.#makeFlow(direction).available(bytes) : bytes
  }

  #take(direction: Direction, bytes: number): void {
    const flow = direction === 'up' ? this.#up : this.#down
    if (flow === undefined) this.#shaping.passed(direction, bytes)
    else flow.take(bytes)
  }

  #makeFlow(direction: Direction): Flow {
    const refused = (why: string): void => this.abort(new LinkSocksError('ERR_DIAL_NOT_ALLOWED', why))
    const ready = direction === 'up' ? () => this.#flush() : () => this.#deliver()
    const flow = this.#shaping.flow(direction, { ready, refused })
    if (direction === 'up') this.#up = flow
    else this.#down = flow
    return flow
  }

  #send(chunk: Uint8Array): void {
    this.#unsentBytes += chunk.byteLength
    this.#inner.write(chunk)
  }

  /** Passes on what was written, as far as it may go. */
  #flush(): void {
    for (let next = this.#nextOf(this.#out, 'up'); next !== undefined; next = this.#nextOf(this.#out, 'up')) {
      this.#outBytes -= next.byteLength
      if (this.#out?.length === 0) this.#out = undefined
      this.#send(next)
    }
    if (this.#out !== undefined || this.#leaving === this.#left || this.#closed !== undefined) return
    this.#left = this.#leaving
    if (this.#left === 'end') return this.#inner.end()
    this.#up?.close()
    // whoever was never started would not hear of its end
    this.#begin()
    this.#inner.close()
  }

  /** Takes as much of the first chunk as may pass; nothing that is empty. */
  #nextOf(queue: Waiting, direction: Direction): Uint8Array | undefined {
    const first = queue?.first
    if (queue === undefined || first === undefined) return undefined
    const bytes = this.#available(direction, first.byteLength)
    if (bytes === 0) return undefined
    // what counting it sets off must find it gone
    if (bytes === first.byteLength) queue.shift()
    else queue.replaceFirst(first.subarray(bytes))
    this.#take(direction, bytes)
    return bytes === first.byteLength ? first : first.subarray(0, bytes)
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
    const unread = this.#unread?.shift()
    if (this.#unread?.length === 0) this.#unread = undefined
    const next = unread ?? this.#nextOf(this.#in, 'down')
    if (this.#in?.length === 0) this.#in = undefined
    if (next !== undefined) handler.data(next)
    return next !== undefined
  }

  /** Tells of the end, once everything before it is delivered. */
  #tell(): void {
    if (this.#delivering || this.#in !== undefined || this.#unread !== undefined) return
    if (this.#handler === undefined && this.#leaving !== 'close') return
    if (this.#end === 'come' && this.#leaving !== 'close') {
      this.#end = 'told'
      this.#handler?.end()
    }
    if (this.#closed === undefined) return
    this.#down?.close()
    if (this.#events.close(this.#closed.error)) this.#events.emitClose()
  }

  /** Nothing of what was received is wanted any more. */
  #discard(): void {
    this.#unread = undefined
    this.#in = undefined
    this.#down?.close()
  }

  /** Nothing of what was written goes on any more. */
  #drop(): void {
    this.#out = undefined
    this.#outBytes = 0
    this.#up?.close()
  }
}

/** What the stream below tells. */
class Below implements ByteStreamHandler {
  readonly #stream: ShapedStream

  constructor(stream: ShapedStream) {
    this.#stream = stream
  }

  data(chunk: Uint8Array): void {
    this.#stream.received(chunk)
  }

  end(): void {
    this.#stream.receivedEnd()
  }

  written(bytes: number): void {
    this.#stream.sent(bytes)
  }

  close(error?: LinkSocksError): void {
    this.#stream.over(error)
  }
}
