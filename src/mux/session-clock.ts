import type { Clock, Timer } from '../ports.js'

/** A clock that can stand still: what its timers wait for could not come meanwhile. */
export class SessionClock implements Clock {
  readonly #clock: Clock
  /** How long it stood still in all, as of the last `resume()`. */
  #stoodMs = 0
  #stoppedAt: number | undefined
  /** By the clock below. */
  #resumedAt = Number.NEGATIVE_INFINITY
  /** Timers that ran out while it stands still. */
  readonly #waiting = new Set<SessionTimer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return (this.#stoppedAt ?? this.#clock.now()) - this.#stoodMs
  }

  wallTime(): number {
    return this.#clock.wallTime()
  }

  after(delayMs: number, callback: () => void): Timer {
    return new SessionTimer(this, delayMs, callback)
  }

  /** Idempotent. */
  stop(): void {
    this.#stoppedAt ??= this.#clock.now()
  }

  /** Idempotent. */
  resume(): void {
    if (this.#stoppedAt === undefined) return
    this.#stoodMs += this.#clock.now() - this.#stoppedAt
    this.#stoppedAt = undefined
    this.#resumedAt = this.#clock.now()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const timer of waiting) timer.proceed()
  }

  get stopped(): boolean {
    return this.#stoppedAt !== undefined
  }

  /** Milliseconds since it last stood still; 0 while it does. */
  get runningMs(): number {
    return this.stopped ? 0 : this.#clock.now() - this.#resumedAt
  }

  /** For the timers. */
  arm(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, callback)
  }

  park(timer: SessionTimer): void {
    this.#waiting.add(timer)
  }

  unpark(timer: SessionTimer): void {
    this.#waiting.delete(timer)
  }
}

/** Runs on the clock below, and looks when it has run out whether its own clock has come as far. */
class SessionTimer implements Timer {
  readonly #clock: SessionClock
  #callback: (() => void) | undefined
  readonly #due: number
  #timer: Timer | undefined

  constructor(clock: SessionClock, delayMs: number, callback: () => void) {
    this.#clock = clock
    this.#callback = callback
    this.#due = clock.now() + delayMs
    this.#timer = clock.arm(delayMs, () => this.proceed())
  }

  cancel(): void {
    this.#callback = undefined
    this.#timer?.cancel()
    this.#clock.unpark(this)
  }

  proceed(): void {
    if (this.#callback === undefined) return
    if (this.#clock.stopped) return this.#clock.park(this)
    const leftMs = this.#due - this.#clock.now()
    // timers may come a moment early by now()
    if (leftMs > 1) this.#timer = this.#clock.arm(leftMs, () => this.proceed())
    else this.#callback()
  }
}
