import type { Clock, Timer } from '../../src/ports.js'

interface Pending {
  readonly due: number
  readonly callback: () => void
}

/** A clock that stands still until told to move. */
export class ManualClock implements Clock {
  /** Unix milliseconds at `now() === 0`: 2026-01-01. */
  epoch = 1_767_225_600_000
  #now: number
  /** In the order in which they were set. */
  readonly #timers = new Set<Pending>()

  constructor(now = 0) {
    this.#now = now
  }

  /** Timers that have neither fired nor been cancelled. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  /** The calendar moves with it, and may be set. */
  wallTime(): number {
    return this.epoch + this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: Pending = { due: this.#now + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  /** Moves on by `ms`; what falls due runs in order, timers set meanwhile included. `now()` is then the timer's own time. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let timer = this.#nextDue(end); timer !== undefined; timer = this.#nextDue(end)) {
      this.#timers.delete(timer)
      this.#now = Math.max(this.#now, timer.due)
      timer.callback()
    }
    this.#now = end
  }

  /** Like advance(), and lets promises settle before each timer and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (let timer = this.#nextDue(end); timer !== undefined; timer = this.#nextDue(end)) {
      this.advance(Math.max(0, timer.due - this.#now))
      await settle()
    }
    this.#now = end
  }

  #nextDue(end: number): Pending | undefined {
    let next: Pending | undefined
    for (const timer of this.#timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer
    }
    return next
  }
}

/** Lets every promise and microtask that can run, run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
