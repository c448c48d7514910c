const EMPTY = new Uint8Array(0)
/** Taken at first: V8 keeps arrays of up to 64 bytes in its own heap, where they cost little. */
const FIRST_BYTES = 64

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
      const grown = new Uint8Array(Math.max(FIRST_BYTES, 2 * length, length + chunk.length))
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
