import type { Clock } from '../../ports.js'

const STEP_MS = 5_000
/** So many whole steps before the present one are no less than a minute. */
const STEPS = 12

/** Counts in steps of 5 s what came within the last minute: so little is kept that every token may have one. */
export class MinuteCount {
  readonly #clock: Pick<Clock, 'now'>
  /** A ring: the present step and those before it. */
  readonly #counts = new Uint32Array(STEPS + 1)
  #step: number

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#step = this.#now
  }

  /** Of the last 60 to 65 seconds. */
  get count(): number {
    this.#move()
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  add(): void {
    this.#move()
    const at = this.#step % this.#counts.length
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  get #now(): number {
    return Math.floor(this.#clock.now() / STEP_MS)
  }

  #move(): void {
    const now = this.#now
    const passed = Math.min(now - this.#step, this.#counts.length)
    for (let step = 1; step <= passed; step += 1) this.#counts[(now - step + 1) % this.#counts.length] = 0
    this.#step = Math.max(now, this.#step)
  }
}
