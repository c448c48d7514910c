import type { LinkSocksError } from '../../src/errors.js'
import type { ByteStream } from '../../src/ports.js'

/** Writes down what one end of a stream is told; consumes at once unless told otherwise. */
export class StreamRecorder {
  readonly chunks: Uint8Array[] = []
  readonly closes: (LinkSocksError | undefined)[] = []
  /** Calls that came after close(), or data after end(): there must be none. */
  readonly late: string[] = []
  received = 0
  written = 0
  ends = 0
  consuming = true
  onData: (chunk: Uint8Array) => void = () => {}
  onWritten: () => void = () => {}
  readonly #stream: ByteStream | undefined
  #consumed = 0

  constructor(stream?: ByteStream) {
    this.#stream = stream
  }

  get closed(): boolean {
    return this.closes.length > 0
  }

  start(): void {
    this.#stream?.start({
      data: (chunk) => this.#data(chunk),
      end: () => this.#end(),
      written: (bytes) => this.#written(bytes),
      close: (error) => this.closes.push(error),
    })
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.chunks)
  }

  /** Consumes what is there, and from now on everything as it comes. */
  consumeAll(): void {
    this.consuming = true
    this.consume(this.received - this.#consumed)
  }

  /** Consumes the next `bytes`. */
  consume(bytes: number): void {
    this.#consumed += bytes
    if (bytes > 0) this.#stream?.consume(bytes)
  }

  /** What was delivered and not consumed, as the stream takes it back. */
  unread(): readonly Uint8Array[] {
    const bytes = this.bytes().subarray(this.#consumed)
    return bytes.byteLength === 0 ? [] : [bytes]
  }

  #data(chunk: Uint8Array): void {
    if (this.closed || this.ends > 0) this.late.push('data')
    // a copy, for the memory is the stream's again after consume()
    this.chunks.push(new Uint8Array(chunk))
    this.received += chunk.byteLength
    if (this.consuming) this.consumeAll()
    this.onData(chunk)
  }

  #end(): void {
    if (this.closed) this.late.push('end')
    this.ends++
  }

  #written(bytes: number): void {
    if (this.closed) this.late.push('written')
    this.written += bytes
    this.onWritten()
  }
}
