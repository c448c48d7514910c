import { KIB } from '../../protocol/limits.js'
import { blockPool, LARGEST_BLOCK_BYTES, POOLED_FROM_BYTES } from '../net/block-pool.js'

/**
 * Taken for a message at first, whatever its header announces: its sender may be anybody. Once so much has come, a block of the pool is
 * taken, where any message of data has room: TLS brings it in records of 16 KiB, and growing with these would copy it twice.
 */
const FIRST_BYTES = 8 * KIB
/** Beyond such a block, so many times what has come is taken at most. */
const AHEAD = 2

const NOTHING = new Uint8Array(0)

/** Puts together the payload of a message, in memory of its own. */
export class MessageBuffer {
  #memory: Uint8Array = NOTHING
  #bytes = 0

  /**
   * Appends a copy of `part`.
   * @param expected bytes that will follow it, as far as is known
   * @returns the copy
   */
  append(part: Uint8Array, expected: number): Uint8Array {
    if (this.#bytes === 0 && expected === 0) return this.#whole(part)
    const end = this.#bytes + part.byteLength
    if (end > this.#memory.byteLength) this.#grow(end, expected)
    this.#memory.set(part, this.#bytes)
    const copy = this.#memory.subarray(this.#bytes, end)
    this.#bytes = end
    return copy
  }

  /** Gives what was appended, and begins anew. A small message has memory of its own, whatever was expected of it. */
  take(): Uint8Array {
    let message = this.#bytes === this.#memory.byteLength ? this.#memory : this.#memory.subarray(0, this.#bytes)
    if (this.#bytes < POOLED_FROM_BYTES && this.#memory.byteLength >= POOLED_FROM_BYTES) {
      message = message.slice()
      blockPool.give(this.#memory)
    }
    this.#memory = NOTHING
    this.#bytes = 0
    return message
  }

  /** Nearly all small messages come in one part. */
  #whole(part: Uint8Array): Uint8Array {
    this.#memory = blockPool.take(part.byteLength)
    this.#memory.set(part)
    this.#bytes = part.byteLength
    return this.#memory
  }

  #grow(needed: number, expected: number): void {
    const whole = needed + expected
    const size = Math.min(whole, Math.max(needed < FIRST_BYTES ? FIRST_BYTES : LARGEST_BLOCK_BYTES, AHEAD * needed))
    const grown = blockPool.take(size)
    grown.set(this.#memory.subarray(0, this.#bytes))
    blockPool.give(this.#memory)
    this.#memory = grown
  }
}
