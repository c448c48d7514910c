import { Fifo } from './fifo.js'

/** Chunks that were delivered, in order, until all their bytes are used up and their memory can be used again. */
export class LentChunks {
  readonly #recycle: (chunk: Uint8Array) => void
  readonly #chunks = new Fifo<Uint8Array>()
  /** Bytes of the first chunk that are used up. */
  #used = 0

  constructor(recycle: (chunk: Uint8Array) => void) {
    this.#recycle = recycle
  }

  lend(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
  }

  /** The next `bytes` bytes are used up. */
  use(bytes: number): void {
    this.#used += bytes
    for (let chunk = this.#chunks.first; chunk !== undefined; chunk = this.#chunks.first) {
      if (chunk.byteLength > this.#used) return
      this.#used -= chunk.byteLength
      this.#chunks.shift()
      this.#recycle(chunk)
    }
    this.#used = 0
  }

  /** Nobody will say any more what is used up: the chunks are left to the garbage collector. */
  forget(): void {
    this.#chunks.clear()
    this.#used = 0
  }
}
