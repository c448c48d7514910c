import type { Clock, Timer } from '../../ports.js'
import type { Token } from './tokens.js'

/** The calendar may jump and a machine may sleep: nothing is waited for longer than this without another look. */
const LOOK_AGAIN_MS = 1_000

/** Hears of tokens whose time is over. */
export interface ExpiryListener {
  /** Once for each time that a token's time runs out. */
  expired(token: Token): void
}

/** Calls back when a token's time is over. */
export class TokenExpiry {
  readonly #clock: Clock
  readonly #listener: ExpiryListener
  readonly #waiting = new Set<Token>()
  /** When the first of them may expire, in Unix milliseconds. */
  #next = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #closed = false

  constructor(clock: Clock, listener: ExpiryListener) {
    this.#clock = clock
    this.#listener = listener
  }

  /** The token is there, or its time has changed. */
  watch(token: Token): void {
    const { expiresAt } = token.traits
    if (this.#closed || expiresAt === undefined || expiresAt <= this.#clock.wallTime()) return this.forget(token)
    this.#waiting.add(token)
    // looking a little too early is harmless, and looking through all of them for each is not
    if (expiresAt < this.#next) this.#arm(expiresAt)
  }

  /** The token is gone. */
  forget(token: Token): void {
    this.#waiting.delete(token)
    if (this.#waiting.size === 0) this.#arm(Number.POSITIVE_INFINITY)
  }

  /** Forgets every token, and takes no more. */
  close(): void {
    this.#closed = true
    this.#waiting.clear()
    this.#arm(Number.POSITIVE_INFINITY)
  }

  #arm(next: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#next = next
    if (next === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(Math.max(0, next - this.#clock.wallTime()), LOOK_AGAIN_MS)
    this.#timer = this.#clock.after(delayMs, () => this.#look())
  }

  #look(): void {
    const time = this.#clock.wallTime()
    for (const token of [...this.#waiting]) {
      const { expiresAt } = token.traits
      if (expiresAt === undefined || expiresAt > time) continue
      this.#waiting.delete(token)
      this.#listener.expired(token)
    }
    let next = Number.POSITIVE_INFINITY
    for (const { traits } of this.#waiting) next = Math.min(next, traits.expiresAt ?? next)
    this.#arm(next)
  }
}
