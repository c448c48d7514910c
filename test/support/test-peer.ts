import type { LinkSocksError } from '../../src/errors.js'
import type { ByteStream } from '../../src/ports.js'

/** What a test does with one end of a stream: write, read so many bytes, see how it ends. Starts the stream. */
export class TestPeer {
  readonly stream: ByteStream
  /** Bytes received in all. */
  receivedBytes = 0
  /** Bytes reported by `written`. */
  writtenBytes = 0
  ended = false
  closed = false
  error: LinkSocksError | undefined
  /** Every event in order: `data`, `end`, `close`, `error`. */
  readonly events: string[] = []
  readonly #waiters = new Set<() => void>()
  /** What `buffered` consists of: joined once somebody looks, because joining at each arrival takes the square of the time. */
  #pieces: Uint8Array[] = []
  #bufferedBytes = 0

  /** With `consume: false` received bytes are never given back as consumed: a reader that stalls. */
  constructor(stream: ByteStream, options: { readonly consume?: boolean } = {}) {
    this.stream = stream
    stream.start({
      data: (chunk) => {
        this.events.push('data')
        // its memory is lent only until it is consumed
        this.#pieces.push(new Uint8Array(chunk))
        this.#bufferedBytes += chunk.length
        this.receivedBytes += chunk.length
        if (options.consume !== false) stream.consume(chunk.length)
        this.#wake()
      },
      end: () => {
        this.events.push('end')
        this.ended = true
        this.#wake()
      },
      written: (bytes) => {
        this.writtenBytes += bytes
        this.#wake()
      },
      close: (error) => {
        this.events.push(error === undefined ? 'close' : 'error')
        this.closed = true
        this.error = error
        this.#wake()
      },
    })
  }

  /** Bytes received and not yet taken by read(). */
  get buffered(): Uint8Array<ArrayBuffer> {
    const whole = joined(this.#pieces)
    this.#pieces = [whole]
    return whole
  }

  /** The text of the bytes received and not yet read. */
  get text(): string {
    return new TextDecoder().decode(this.buffered)
  }

  write(data: Uint8Array | string): void {
    this.stream.write(bytesOf(data))
  }

  end(): void {
    this.stream.end()
  }

  close(): void {
    this.stream.close()
  }

  abort(reason: LinkSocksError): void {
    this.stream.abort(reason)
  }

  /** Takes exactly `length` bytes. @throws when the stream ends before. */
  async read(length: number): Promise<Uint8Array> {
    await this.until(() => this.#bufferedBytes >= length || this.ended || this.closed)
    if (this.#bufferedBytes < length) throw new Error(`only ${this.#bufferedBytes} of ${length} bytes arrived`)
    const whole = this.buffered
    this.#pieces = [whole.subarray(length)]
    this.#bufferedBytes -= length
    return whole.slice(0, length)
  }

  /** Everything not yet read up to the far side's end. @throws the error of a close before that. */
  async readAll(): Promise<Uint8Array> {
    await this.until(() => this.ended || this.closed)
    if (!this.ended && this.error !== undefined) throw this.error
    return this.read(this.#bufferedBytes)
  }

  /** Waits for the close event; gives its error. */
  async untilClosed(): Promise<LinkSocksError | undefined> {
    await this.until(() => this.closed)
    return this.error
  }

  /** Waits until `condition` holds; it is judged again after every event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve()
    this.#waiters.clear()
  }
}

/** Starts `stream` and gives all it delivers up to the far side's end. @throws the error it was closed with before that */
export function collect(stream: ByteStream): Promise<Uint8Array> {
  return new TestPeer(stream).readAll()
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return joined(parts)
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

export function bytesOf(data: Uint8Array | string): Uint8Array {
  return typeof data === 'string' ? new TextEncoder().encode(data) : data
}

/** Bytes from hex digits; spaces are ignored. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/\s/g, '')
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
    Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  )
}

/** Hex digits of bytes. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
