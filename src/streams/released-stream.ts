import type { LinkSocksError } from '../errors.js'
import type { ByteStream, ByteStreamHandler } from '../ports.js'

/** What comes out of release(): events wait until it is started, then pass through. */
export class ReleasedStream implements ByteStream {
  readonly #inner: ByteStream
  readonly #received: ReceiveBuffer
  #handler: ByteStreamHandler | undefined
  #flowing = false
  #ended = false
  #over: { readonly error: LinkSocksError | undefined } | undefined
  #writtenEarly = 0

  constructor(inner: ByteStream, received: ReceiveBuffer) {
    this.#inner = inner
    this.#received = received
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler
    // not from inside start(): whoever joins two streams has yet to start the other one
    queueMicrotask(() => this.#flow())
  }

  consume(bytes: number): void {
    this.#inner.consume(bytes)
  }

  write(chunk: Uint8Array): void {
    this.#inner.write(chunk)
  }

  end(): void {
    this.#inner.end()
  }

  close(): void {
    this.#dropReceived()
    this.#inner.close()
  }

  abort(reason: LinkSocksError): void {
    this.#dropReceived()
    this.#inner.abort(reason)
  }

  onData(chunk: Uint8Array): void {
    const handler = this.#flow()
    if (handler === undefined) this.#received.append(chunk)
    else handler.data(chunk)
  }

  onEnd(): void {
    const handler = this.#flow()
    if (handler === undefined) this.#ended = true
    else handler.end()
  }

  onWritten(bytes: number): void {
    const handler = this.#flow()
    if (handler === undefined) this.#writtenEarly += bytes
    else handler.written(bytes)
  }

  onClose(error: LinkSocksError | undefined): void {
    const handler = this.#flow()
    if (handler === undefined) this.#over = { error }
    else handler.close(error)
  }

  /** Delivers what waited, once; gives the handler when events may pass through. */
  #flow(): ByteStreamHandler | undefined {
    const handler = this.#handler
    if (this.#flowing || handler === undefined) return handler
    this.#flowing = true
    if (this.#writtenEarly > 0) handler.written(this.#writtenEarly)
    const early = this.#received.takeAll()
    if (early.length > 0) handler.data(early)
    if (this.#ended) handler.end()
    if (this.#over !== undefined) handler.close(this.#over.error)
    return handler
  }

  #dropReceived(): void {
    this.#received.takeAll()
    this.#ended = false
  }
}

const EMPTY = new Uint8Array(0)
/** Taken at first: V8 keeps arrays of up to 64 bytes in its own heap, where they cost little. */
const FIRST_BYTES = 64

/** Bytes received and not yet read. Bytes once given out are never overwritten. */
export class ReceiveBuffer {
  #memory: Uint8Array = EMPTY
  #start = 0
  #end = 0

  view(): Uint8Array {
    return this.#memory.subarray(this.#start, this.#end)
  }

  append(chunk: Uint8Array): void {
    const length = this.#end - this.#start
    if (this.#end + chunk.length > this.#memory.length) {
      const grown = new Uint8Array(Math.max(FIRST_BYTES, 2 * length, length + chunk.length))
      grown.set(this.view())
      this.#memory = grown
      this.#start = 0
      this.#end = length
    }
    this.#memory.set(chunk, this.#end)
    this.#end += chunk.length
  }

  take(bytes: number): void {
    this.#start += bytes
    if (this.#start < this.#end) return
    this.#memory = EMPTY
    this.#start = 0
    this.#end = 0
  }

  takeAll(): Uint8Array {
    const all = this.view()
    this.take(all.length)
    return all
  }
}
