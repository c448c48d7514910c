import type { LinkSocksError } from '../errors.js'
import type { ByteStream, ByteStreamHandler } from '../ports.js'

/** What comes out of release(): events wait until it is started, then pass through. */
export class ReleasedStream {
  readonly stream: ByteStream
  readonly #received: ReceiveBuffer
  #handler: ByteStreamHandler | undefined
  #flowing = false
  #ended = false
  #over: { readonly error: LinkSocksError | undefined } | undefined
  #writtenEarly = 0

  constructor(inner: ByteStream, received: ReceiveBuffer) {
    this.#received = received
    this.stream = {
      start: (handler) => {
        this.#handler = handler
        // not from inside start(): whoever joins two streams has yet to start the other one
        queueMicrotask(() => this.#flow())
      },
      consume: (bytes) => inner.consume(bytes),
      write: (chunk) => inner.write(chunk),
      end: () => inner.end(),
      close: () => {
        this.#dropReceived()
        inner.close()
      },
      abort: (reason) => {
        this.#dropReceived()
        inner.abort(reason)
      },
    }
  }

  data(chunk: Uint8Array): void {
    const handler = this.#flow()
    if (handler === undefined) this.#received.append(chunk)
    else handler.data(chunk)
  }

  end(): void {
    const handler = this.#flow()
    if (handler === undefined) this.#ended = true
    else handler.end()
  }

  written(bytes: number): void {
    const handler = this.#flow()
    if (handler === undefined) this.#writtenEarly += bytes
    else handler.written(bytes)
  }

  finish(error: LinkSocksError | undefined): void {
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
      const grown = new Uint8Array(Math.max(256, 2 * length, length + chunk.length))
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
