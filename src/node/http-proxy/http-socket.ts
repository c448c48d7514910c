import type { ByteStream } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { StreamDuplex } from '../net/stream-duplex.js'

/** Given to the parser at a time: what it makes of one piece is there at once. */
const PIECE_BYTES = 16 * KIB

/** A stream as Node's HTTP wants to see it: as a socket, as far as it asks. */
export class HttpSocket extends StreamDuplex {
  readonly #bytesCame: () => void

  /** @param bytesCame called when bytes have come, before they are read */
  constructor(stream: ByteStream, bytesCame: () => void = () => {}) {
    super(stream)
    // Node writes a head that leaves before its body without naming an encoding
    this.setDefaultEncoding('latin1')
    this.#bytesCame = bytesCame
  }

  override push(chunk: Uint8Array | null): boolean {
    if (chunk === null) return super.push(null)
    this.#bytesCame()
    let more = true
    for (let at = 0; at < chunk.byteLength && !this.destroyed; at += PIECE_BYTES) {
      more = super.push(chunk.subarray(at, at + PIECE_BYTES))
    }
    return more
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
}
