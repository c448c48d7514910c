import { KIB, MIB } from '../../protocol/limits.js'

/**
 * Below this a block of its own is cheap enough to be left to the garbage collector. Nobody asks such a view for its buffer:
 * V8 keeps small arrays within its heap until then, and moving them out costs more than copying them.
 */
export const POOLED_FROM_BYTES = 2 * KIB
/** Room for a header in each block. */
const HEADER_BYTES = 512
/** Sizes of pooled blocks: a header's room more than a power of two. */
const CLASS_BYTES = [4, 8, 16, 32, 64, 128, 256].map((kib) => kib * KIB + HEADER_BYTES)
/** The largest that is pooled. */
export const LARGEST_BLOCK_BYTES: number = 256 * KIB + HEADER_BYTES
/** Free blocks kept for the next read, all sizes together. */
const MAX_FREE_BYTES = 8 * MIB
/** Free blocks that nobody took for this long are given up. */
const IDLE_MS = 5_000

/**
 * Memory for what is read from sockets, used again and again. Fresh memory for each read would be the garbage
 * collector's main work: what lies outside the heap makes it run once for every few megabytes.
 *
 * A block that is never given back is collected like any other memory.
 */
export class BlockPool {
  readonly #free = new Map<number, ArrayBuffer[]>(CLASS_BYTES.map((bytes) => [bytes, []]))
  /** The blocks in use: only these can come back, and once. */
  readonly #taken = new WeakSet<ArrayBufferLike>()
  /** Blocks that are kept from coming back: how often, and whether they were given meanwhile. */
  readonly #retained = new Map<ArrayBufferLike, { times: number; given: boolean }>()
  #freeBytes = 0
  #takenSince = false
  #timer: NodeJS.Timeout | undefined

  /** Free bytes kept now. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** `bytes` bytes of any content, at the beginning of a block. */
  take(bytes: number): Uint8Array {
    const size = bytes < POOLED_FROM_BYTES ? undefined : CLASS_BYTES.find((candidate) => candidate >= bytes)
    if (size === undefined) return new Uint8Array(bytes)
    this.#takenSince = true
    const buffer = this.#reuse(size) ?? Buffer.allocUnsafeSlow(size).buffer
    this.#taken.add(buffer)
    return new Uint8Array(buffer, 0, bytes)
  }

  /** Gives back the block that `view` lies in, which nobody may touch from here on. Other memory and small views are left alone. */
  give(view: Uint8Array): void {
    if (view.byteLength < POOLED_FROM_BYTES) return
    const { buffer } = view
    if (!this.#taken.has(buffer)) return
    const retained = this.#retained.get(buffer)
    if (retained === undefined) this.#keep(buffer)
    else retained.given = true
  }

  /**
   * Keeps the block that `view` lies in from coming back before `release()`.
   * @returns false for other memory, and for parts so small that copying them is cheaper
   */
  retain(view: Uint8Array): boolean {
    if (view.byteLength < POOLED_FROM_BYTES) return false
    const { buffer } = view
    if (!this.#taken.has(buffer)) return false
    const retained = this.#retained.get(buffer)
    if (retained === undefined) this.#retained.set(buffer, { times: 1, given: false })
    else retained.times += 1
    return true
  }

  /** After `retain()`, once for each. */
  release(view: Uint8Array): void {
    const { buffer } = view
    const retained = this.#retained.get(buffer)
    if (retained === undefined) return
    retained.times -= 1
    if (retained.times > 0) return
    this.#retained.delete(buffer)
    if (retained.given) this.#keep(buffer)
  }

  #keep(buffer: ArrayBufferLike): void {
    this.#taken.delete(buffer)
    if (this.#freeBytes + buffer.byteLength > MAX_FREE_BYTES) return
    this.#free.get(buffer.byteLength)?.push(buffer as ArrayBuffer)
    this.#freeBytes += buffer.byteLength
    this.#timer ??= setInterval(() => this.#giveUpIdle(), IDLE_MS).unref()
  }

  #reuse(size: number): ArrayBuffer | undefined {
    const buffer = this.#free.get(size)?.pop()
    if (buffer !== undefined) this.#freeBytes -= size
    return buffer
  }

  #giveUpIdle(): void {
    if (this.#takenSince) {
      this.#takenSince = false
      return
    }
    for (const blocks of this.#free.values()) blocks.length = 0
    this.#freeBytes = 0
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** The pool of this process. */
export const blockPool: BlockPool = new BlockPool()
