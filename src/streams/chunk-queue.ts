import { Fifo } from './fifo.js'

/** Bytes waiting to be sent, as the chunks they came in. */
export class ChunkQueue {
  readonly #chunks = new Fifo<Uint8Array>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
  }

  /**
   * Takes `bytes` from the front, which must be there. Without copying when they lie in one chunk.
   */
  take(bytes: number): Uint8Array {
    const first = this.#chunks.first as Uint8Array
    this.#bytes -= bytes
    if (first.byteLength > bytes) {
      this.#chunks.replaceFirst(first.subarray(bytes))
      return first.subarray(0, bytes)
    }
    if (first.byteLength === bytes) {
      this.#chunks.shift()
      return first
    }
    return this.#join(bytes)
  }

  /** Bytes of the first chunk. */
  get firstBytes(): number {
    return this.#chunks.first?.byteLength ?? 0
  }

  /** Bytes of the chunks at the front that are smaller than `below`, up to `limit`. */
  smallBytes(below: number, limit: number): number {
    let bytes = 0
    for (let i = 0; i < this.#chunks.length && bytes < limit; i += 1) {
      const { byteLength } = this.#chunks.at(i) as Uint8Array
      if (byteLength >= below) break
      bytes += byteLength
    }
    return Math.min(bytes, limit)
  }

  clear(): void {
    this.#chunks.clear()
    this.#bytes = 0
  }

  #join(bytes: number): Uint8Array {
    const joined = new Uint8Array(bytes)
    let filled = 0
    while (filled < bytes) {
      const chunk = this.#chunks.first as Uint8Array
      const part = chunk.subarray(0, bytes - filled)
      joined.set(part, filled)
      filled += part.byteLength
      if (part.byteLength === chunk.byteLength) this.#chunks.shift()
      else this.#chunks.replaceFirst(chunk.subarray(part.byteLength))
    }
    return joined
  }
}
