import type { Clock, Timer } from '../../ports.js'

/** Fires once nothing touched it for `timeoutMs`. A touch costs one clock reading, not a timer. */
export class IdleTimer {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #onIdle: () => void
  #lastTouch: number
  #timer: Timer

  constructor(clock: Clock, timeoutMs: number, onIdle: () => void) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#onIdle = onIdle
    this.#lastTouch = clock.now()
    this.#timer = this.#arm(timeoutMs)
  }

  touch(): void {
    this.#lastTouch = this.#clock.now()
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #arm(delayMs: number): Timer {
    return this.#clock.after(delayMs, () => {
      const left = this.#lastTouch + this.#timeoutMs - this.#clock.now()
      if (left > 0) this.#timer = this.#arm(left)
      else this.#onIdle()
    })
  }
}
