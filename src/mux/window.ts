import { MAX_WINDOW_BYTES } from '../protocol/limits.js'

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

/** Credit granted to the sender; it goes back as bytes are used up, in steps of a quarter window. */
export class ReceiveWindow {
  readonly #size: number
  #credit: number
  #unreturned = 0

  constructor(size: number) {
    this.#size = size
    this.#credit = size
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
  }

  /** Whether a quarter of the window waits to be granted again. */
  get due(): boolean {
    return this.#unreturned * 4 >= this.#size
  }

  /** @returns the credit to grant now. */
  flush(): number {
    const bytes = this.#unreturned
    this.#unreturned = 0
    this.#credit += bytes
    return bytes
  }
}
