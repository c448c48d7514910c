import type { ByteStream } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { StreamDuplex } from '../net/stream-duplex.js'

/** Given to the parser at a time: what it makes of one piece is there at once. */
const PIECE_BYTES = 16 * KIB
/** The same where the head of a request comes first: such a piece has at most 57 of them. */
const HEAD_PIECE_BYTES = 1_024

export interface HttpSocketOptions {
  /** Called when bytes have come, before they are read. */
  readonly bytesCame?: () => void
  /** Whether the head of a request comes next. @default never */
  readonly atHead?: () => boolean
}

/** A stream as Node's HTTP wants to see it: as a socket, as far as it asks. */
export class HttpSocket extends StreamDuplex {
  readonly #options: HttpSocketOptions
  #held = false
  /** By whoever reads. */
  #paused = false

  constructor(stream: ByteStream, options: HttpSocketOptions = {}) {
    super(stream)
    // Node writes a head that leaves before its body without naming an encoding
    this.setDefaultEncoding('latin1')
    this.#options = options
  }

  override push(chunk: Uint8Array | null): boolean {
    if (chunk === null) return super.push(null)
    const { bytesCame, atHead } = this.#options
    bytesCame?.()
    let more = true
    for (let at = 0; at < chunk.byteLength && !this.destroyed; ) {
      const end = at + (atHead?.() === true ? HEAD_PIECE_BYTES : PIECE_BYTES)
      more = super.push(chunk.subarray(at, end))
      at = end
    }
    return more
  }

  /** Nothing more is read until `letGo()`, whatever Node thinks: it reads on after each whole request. */
  hold(): void {
    if (!this.#hasParser) return
    this.#held = true
    super.pause()
  }

  letGo(): void {
    if (!this.#held) return
    this.#held = false
    if (!this.#paused && this.#hasParser) super.resume()
  }

  override pause(): this {
    this.#paused = true
    return super.pause()
  }

  override resume(): this {
    this.#paused = false
    return this.#held ? this : super.resume()
  }

  /** Ends it in order, once what was written has left. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  // what follows is the kernel's business elsewhere, or the stream's
  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** Without one nothing is read, and nobody would take it. */
  get #hasParser(): boolean {
    return this.listenerCount('data') > 0
  }
}
