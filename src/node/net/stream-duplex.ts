import { Duplex } from 'node:stream'
import { LinkSocksError } from '../../errors.js'
import type { ByteStream } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'

/** Bytes a reader may leave in the Duplex before the stream's credit is withheld. */
const READ_BUFFER_BYTES = 64 * KIB
/** Bytes a writer may queue before `write()` returns false. */
const WRITE_BUFFER_BYTES = 256 * KIB

type Callback = (error?: Error | null) => void

/**
 * Shows a stream that was not started yet as a Node Duplex that may be half open.
 * `destroy(error)` and `destroy()` with bytes still queued reset it; `destroy()` without is an orderly close.
 * A reset by the far side destroys the Duplex with its LinkSocksError.
 */
export function toDuplex(stream: ByteStream): Duplex {
  return new StreamDuplex(stream)
}

export class StreamDuplex extends Duplex {
  readonly #stream: ByteStream
  /** Pushed, and not consumed: what the reader has not taken, and what it is being given. */
  #withheld = 0
  #released = false
  /** Given to the stream by the write under way, not reported as written. */
  #leaving = 0
  #bytesWritten = 0
  #writeDone: Callback | undefined
  #readEnded = false
  #gone = false

  constructor(stream: ByteStream) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: READ_BUFFER_BYTES,
      writableHighWaterMark: WRITE_BUFFER_BYTES,
    })
    this.#stream = stream
    stream.start({
      data: (chunk) => this.#onData(chunk),
      end: () => this.#endRead(),
      written: (bytes) => this.#onWritten(bytes),
      close: (error) => this.#onClose(error),
    })
  }

  /** Bytes that have left so far. */
  get bytesWritten(): number {
    return this.#bytesWritten
  }

  override _read(): void {
    // the reader has what it asked for by then
    process.nextTick(() => this.#consumeRead())
  }

  /**
   * Gives the stream back, to be started; what was not read is delivered first, so whoever took too much puts it back before
   * (`unshift()`). Everything written must have left. The Duplex is destroyed.
   */
  release(): ByteStream {
    const unread: Uint8Array[] = []
    for (let chunk = this.read(); chunk !== null; chunk = this.read()) unread.push(chunk)
    this.#released = true
    this.#consume(this.#withheld - unread.reduce((sum, { byteLength }) => sum + byteLength, 0))
    this.#stream.handBack(unread)
    this.destroy()
    return this.#stream
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Callback): void {
    this.#send([chunk], done)
  }

  override _writev(batch: ReadonlyArray<{ chunk: Uint8Array }>, done: Callback): void {
    this.#send(
      batch.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: Callback): void {
    this.#stream.end()
    done()
  }

  override _destroy(error: Error | null, done: Callback): void {
    this.#writeDone = undefined
    if (this.#released) return done(null)
    if (error !== null) this.#stream.abort(LinkSocksError.from(error, 'ERR_CANCELLED'))
    else if (this.writableLength > 0)
      this.#stream.abort(new LinkSocksError('ERR_CANCELLED', 'the stream was destroyed'))
    else this.#stream.close()
    done(error)
  }

  #onData(chunk: Uint8Array): void {
    this.#withheld += chunk.byteLength
    // a copy, for readers keep what they are given while the stream may use the memory again
    this.push(Buffer.from(chunk))
    this.#consumeRead()
  }

  #consumeRead(): void {
    if (!this.#released) this.#consume(this.#withheld - this.readableLength)
  }

  #consume(bytes: number): void {
    if (bytes <= 0) return
    this.#withheld -= bytes
    this.#stream.consume(bytes)
  }

  #endRead(): void {
    if (this.#readEnded) return
    this.#readEnded = true
    this.push(null)
  }

  /** Chunks may be used again by the caller after `done`, so it waits until all of them have left. */
  #send(chunks: readonly Uint8Array[], done: Callback): void {
    this.#writeDone = done
    if (this.#gone) {
      this.#failWriteAfterRead()
      return
    }
    this.#leaving = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    for (const chunk of chunks) this.#stream.write(chunk)
    if (this.#leaving === 0) this.#finishWrite()
  }

  #onWritten(bytes: number): void {
    this.#leaving -= bytes
    this.#bytesWritten += bytes
    if (this.#leaving <= 0) this.#finishWrite()
  }

  #finishWrite(error?: LinkSocksError): void {
    const done = this.#writeDone
    this.#writeDone = undefined
    done?.(error)
  }

  #onClose(error: LinkSocksError | undefined): void {
    this.#gone = true
    if (error !== undefined) {
      this.destroy(error)
      return
    }
    this.#endRead()
    if (this.#writeDone !== undefined) this.#failWriteAfterRead()
    // nobody takes what would be written: the end of reading ends writing too
    else if (this.readableEnded) this.end()
    else this.allowHalfOpen = false
  }

  /** A failed write destroys the Duplex, which must not cost the reader what is still to be read. */
  #failWriteAfterRead(): void {
    const fail = (): void =>
      this.#finishWrite(new LinkSocksError('ERR_STREAM_RESET', 'the other side closed the stream'))
    if (this.readableEnded) fail()
    else this.once('end', fail)
  }
}
