import { KIB, MAX_WINDOW_BYTES } from '../../protocol/limits.js'

/** Credit to send, granted by the receiver (docs/protocol.md B.2). */
export class SendWindow {
  #credit: number

  constructor(initialCredit: number) {
    this.#credit = Math.min(initialCredit, MAX_WINDOW_BYTES)
  }

  /** Bytes that may be sent now. */
  get available(): number {
    return Math.max(0, this.#credit)
  }

  /** More was spent than was granted. */
  get overdrawn(): boolean {
    return this.#credit < 0
  }

  /** May go below 0 for bytes that left before the grant was known. */
  spend(bytes: number): void {
    this.#credit -= bytes
  }

  /** A grant that would exceed {@link MAX_WINDOW_BYTES} counts up to it. */
  grant(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, MAX_WINDOW_BYTES)
  }
}

/** Credit goes back when a quarter of the window is used up, but in no smaller and no larger steps, and at the latest at its half. */
const LEAST_GRANT_BYTES = 128 * KIB
const MOST_GRANT_BYTES = 256 * KIB

/** Credit granted to the sender; it goes back as bytes are used up. */
export class ReceiveWindow {
  #size: number
  #credit: number
  #unreturned = 0
  /** Bytes used up since the window was last judged, and when that was. */
  #measuredBytes = 0
  #measuredAt: number | undefined

  constructor(size: number) {
    this.#size = size
    this.#credit = size
  }

  /** Bytes the sender may have under way. */
  get size(): number {
    return this.#size
  }

  /** The sender has used up what it was granted. */
  get exhausted(): boolean {
    return this.#credit <= 0
  }

  /** @returns false when the sender had no credit for `bytes`. */
  receive(bytes: number): boolean {
    this.#credit -= bytes
    return this.#credit >= 0
  }

  /** `bytes` were used up. */
  consume(bytes: number): void {
    this.#unreturned += bytes
    this.#measuredBytes += bytes
  }

  /** Whether enough waits to be granted again. Each grant is a message, which many small ones would make as many as the data. */
  get due(): boolean {
    const step = Math.max(this.#size / 4, LEAST_GRANT_BYTES)
    return this.#unreturned >= Math.min(step, MOST_GRANT_BYTES, this.#size / 2)
  }

  /** @returns the credit to grant now. */
  flush(): number {
    const bytes = this.#unreturned
    this.#unreturned = 0
    this.#credit += bytes
    return bytes
  }

  /** Tells once for each window of bytes that is used up how many milliseconds that took; the first call only begins to count. */
  turn(now: number): number | undefined {
    const since = this.#measuredAt
    if (since !== undefined && this.#measuredBytes < this.#size) return undefined
    this.#measuredBytes = 0
    this.#measuredAt = now
    return since === undefined ? undefined : now - since
  }

  /** Makes the window so much larger; the next flush() grants it. */
  grow(bytes: number): void {
    this.#size += bytes
    this.#unreturned += bytes
  }

  /** Makes the window smaller, down to `size`, as far as bytes are used up that were not granted again. @returns by how much */
  shrink(size: number): number {
    const bytes = Math.max(0, Math.min(this.#unreturned, this.#size - size))
    this.#size -= bytes
    this.#unreturned -= bytes
    return bytes
  }
}
