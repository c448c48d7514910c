const NOTHING = new Uint8Array()

/** Bytes waiting to be sent, as the chunks they came in. */
export class ChunkQueue {
  #chunks: Uint8Array[] = []
  #first = 0
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
    const first = this.#chunks[this.#first] as Uint8Array
    this.#bytes -= bytes
    if (first.byteLength > bytes) {
      this.#chunks[this.#first] = first.subarray(bytes)
      return first.subarray(0, bytes)
    }
    if (first.byteLength === bytes) {
      this.#drop()
      return first
    }
    return this.#join(bytes)
  }

  /** Bytes of the first chunk. */
  get firstBytes(): number {
    return this.#chunks[this.#first]?.byteLength ?? 0
  }

  /** Bytes of the chunks at the front that are smaller than `below`, up to `limit`. */
  smallBytes(below: number, limit: number): number {
    let bytes = 0
    for (let i = this.#first; i < this.#chunks.length && bytes < limit; i += 1) {
      const { byteLength } = this.#chunks[i] as Uint8Array
      if (byteLength >= below) break
      bytes += byteLength
    }
    return Math.min(bytes, limit)
  }

  clear(): void {
    this.#chunks = []
    this.#first = 0
    this.#bytes = 0
  }

  #join(bytes: number): Uint8Array {
    const joined = new Uint8Array(bytes)
    let filled = 0
    while (filled < bytes) {
      const chunk = this.#chunks[this.#first] as Uint8Array
      const part = chunk.subarray(0, bytes - filled)
      joined.set(part, filled)
      filled += part.byteLength
      if (part.byteLength === chunk.byteLength) this.#drop()
      else this.#chunks[this.#first] = chunk.subarray(part.byteLength)
    }
    return joined
  }

  #drop(): void {
    // not kept until the front is cut off: a chunk may hold much memory
    this.#chunks[this.#first] = NOTHING
    this.#first += 1
    if (this.#first === this.#chunks.length || this.#first >= 64) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
  }
}
