import type { Clock, Timer } from '../ports.js'
import type { Token } from './tokens.js'

/** The calendar may jump and a machine may sleep: nothing is waited for longer than this without another look. */
const LOOK_AGAIN_MS = 1_000

/** Calls back when a token's time is over. */
export class TokenExpiry {
  readonly #clock: Clock
  readonly #expired: (token: Token) => void
  readonly #waiting = new Set<Token>()
  #timer: Timer | undefined
  /** When the timer is to look, in Unix milliseconds. */
  #next = Number.POSITIVE_INFINITY

  /** @param expired called once for each time that a token's time runs out */
  constructor(clock: Clock, expired: (token: Token) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** The token is there, or its time has changed. */
  watch(token: Token): void {
    const { expiresAt } = token
    if (expiresAt === undefined || expiresAt <= this.#clock.wallTime()) return this.forget(token)
    this.#waiting.add(token)
    if (expiresAt < this.#next) this.#arm(expiresAt)
  }

  /** The token is gone. */
  forget(token: Token): void {
    if (this.#waiting.delete(token) && this.#waiting.size === 0) this.#disarm()
  }

  close(): void {
    this.#waiting.clear()
    this.#disarm()
  }

  #arm(next: number): void {
    this.#timer?.cancel()
    this.#next = next
    const delayMs = Math.min(Math.max(0, next - this.#clock.wallTime()), LOOK_AGAIN_MS)
    this.#timer = this.#clock.after(delayMs, () => this.#look())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#next = Number.POSITIVE_INFINITY
  }

  #look(): void {
    const time = this.#clock.wallTime()
    let next = Number.POSITIVE_INFINITY
    for (const token of [...this.#waiting]) {
      const { expiresAt = Number.POSITIVE_INFINITY } = token
      if (expiresAt > time) next = Math.min(next, expiresAt)
      else if (this.#waiting.delete(token)) this.#expired(token)
    }
    if (this.#waiting.size === 0) this.#disarm()
    else this.#arm(next)
  }
}
