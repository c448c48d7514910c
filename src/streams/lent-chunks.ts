/** The used front is cut off so many chunks at a time. */
const FRONT_CHUNKS = 64

/** Chunks that were delivered, in order, until all their bytes are used up and their memory can be used again. */
export class LentChunks {
  readonly #recycle: (chunk: Uint8Array) => void
  #chunks: Uint8Array[] = []
  #first = 0
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
    for (let chunk = this.#chunks[this.#first]; chunk !== undefined; chunk = this.#chunks[this.#first]) {
      if (chunk.byteLength > this.#used) return
      this.#used -= chunk.byteLength
      this.#first += 1
      this.#recycle(chunk)
      if (this.#first === FRONT_CHUNKS) {
        this.#chunks.splice(0, FRONT_CHUNKS)
        this.#first = 0
      }
    }
    this.forget()
  }

  /** Nobody will say any more what is used up: the chunks are left to the garbage collector. */
  forget(): void {
    this.#chunks = []
    this.#first = 0
    this.#used = 0
  }
}
