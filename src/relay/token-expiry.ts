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

  /** @param expired called once for each time that a token's time runs out */
  constructor(clock: Clock, expired: (token: Token) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** The token is there, or its time has changed. */
  watch(token: Token): void {
    if (token.expiresAt === undefined || token.expiresAt <= this.#clock.wallTime()) this.#waiting.delete(token)
    else this.#waiting.add(token)
    this.#arm()
  }

  /** The token is gone. */
  forget(token: Token): void {
    this.#waiting.delete(token)
    this.#arm()
  }

  close(): void {
    this.#waiting.clear()
    this.#arm()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    let next = Number.POSITIVE_INFINITY
    for (const { expiresAt } of this.#waiting) next = Math.min(next, expiresAt ?? next)
    if (next === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(Math.max(0, next - this.#clock.wallTime()), LOOK_AGAIN_MS)
    this.#timer = this.#clock.after(delayMs, () => this.#look())
  }

  #look(): void {
    const time = this.#clock.wallTime()
    for (const token of [...this.#waiting]) {
      if (token.expiresAt === undefined || token.expiresAt > time) continue
      this.#waiting.delete(token)
      this.#expired(token)
    }
    this.#arm()
  }
}
