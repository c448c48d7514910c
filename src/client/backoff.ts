import type { Crypto } from '../ports.js'

const FIRST_CEILING_MS = 500
export const MAX_DELAY_MS = 30_000
/** Least delay after a refused token (docs/protocol.md A.2). */
export const REFUSED_DELAY_MS = 30_000
/**
 * How long after a good link a refusal may be passing: a restarted server hears of an autonomy provider's connector
 * tokens only when that provider is back. So long the ordinary delays apply.
 */
export const REFUSAL_MAY_PASS_MS = 60_000
/** A link that lived this long was a success: the next failure starts from the beginning. */
export const STABLE_AFTER_MS = 10_000

/** A server that was told to end this long after it admitted a client, or later, has a successor: the client goes there at once. */
export const DRAINED_AFTER_MS = 1_000

/**
 * Delays between attempts to connect: none before the first, then uniformly random below a ceiling that doubles up to
 * {@link MAX_DELAY_MS} (full jitter), so that the clients of a restarted server don't come all at once.
 */
export class Backoff {
  readonly #crypto: Crypto
  #attempts = 0

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  reset(): void {
    this.#attempts = 0
  }

  /** The next delay is a short one. */
  forgive(): void {
    this.#attempts = Math.min(this.#attempts, 1)
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    this.#attempts += 1
    if (this.#attempts === 1) return 0
    const ceiling = Math.min(MAX_DELAY_MS, FIRST_CEILING_MS * 2 ** (this.#attempts - 2))
    return Math.round(this.#random() * ceiling)
  }

  /** Uniform in 0..1. */
  #random(): number {
    const [a = 0, b = 0] = this.#crypto.randomBytes(2)
    return (a * 256 + b) / 65_535
  }
}
