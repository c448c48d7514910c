/** Memory is told apart in pieces of this size. */
const PIECE_BYTES = 1_024
/** Smaller writes are not looked at: small arrays lie in V8's heap, and asking for their buffer moves them out of it. */
const SEEN_FROM_BYTES = 512

/**
 * The distinct memory that is written while data moves: a block that is used again counts once, and fresh memory each time. What a
 * part of the transfer touches is what has to fit the caches.
 */
export class WorkingSet {
  readonly #partBytes: number
  /** For each buffer and piece of it the part of the transfer that touched it last; parts are numbered from 1. */
  readonly #lastTouched = new WeakMap<ArrayBufferLike, Uint32Array>()
  #part = 1
  #partMoved = 0
  #partPieces = 0
  /** Of the transfer: its first part, what it touched, and what each complete part did. */
  #firstPart = 1
  #pieces = 0
  #ofParts: number[] = []

  /** @param partBytes what `moved()` counts in a part */
  constructor(partBytes: number) {
    this.#partBytes = partBytes
  }

  /** Begins another transfer. */
  reset(): void {
    this.#firstPart = this.#nextPart()
    this.#pieces = 0
    this.#ofParts = []
  }

  /** So many bytes of `memory` are written, from an offset on. */
  touch(memory: ArrayBufferView, from: number, bytes: number): void {
    if (bytes < SEEN_FROM_BYTES) return
    const last = this.#marksOf(memory.buffer)
    const begin = memory.byteOffset + from
    for (let piece = Math.floor(begin / PIECE_BYTES); piece * PIECE_BYTES < begin + bytes; piece += 1) {
      const before = last[piece] as number
      if (before < this.#firstPart) this.#pieces += 1
      if (before < this.#part) this.#partPieces += 1
      last[piece] = this.#part
    }
  }

  /** Bytes of the transfer came along. */
  moved(bytes: number): void {
    this.#partMoved += bytes
    if (this.#partMoved < this.#partBytes) return
    this.#ofParts.push(this.#partPieces)
    this.#nextPart()
  }

  /** KiB that the whole transfer touched. */
  get kib(): number {
    return (this.#pieces * PIECE_BYTES) / 1_024
  }

  /** KiB that a part of it touched: the median of the complete ones, 0 without. */
  get kibOfPart(): number {
    const sorted = this.#ofParts.toSorted((a, b) => a - b)
    return ((sorted[sorted.length >> 1] ?? 0) * PIECE_BYTES) / 1_024
  }

  #nextPart(): number {
    this.#part += 1
    this.#partMoved = 0
    this.#partPieces = 0
    return this.#part
  }

  #marksOf(buffer: ArrayBufferLike): Uint32Array {
    const known = this.#lastTouched.get(buffer)
    if (known !== undefined) return known
    const marks = new Uint32Array(Math.ceil(buffer.byteLength / PIECE_BYTES))
    this.#lastTouched.set(buffer, marks)
    return marks
  }
}
