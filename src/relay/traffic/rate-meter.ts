import type { Clock } from '../../ports.js'

/** What was this long ago counts about a third. */
const FADE_MS = 2_000

/** Bytes a second, as of the last few seconds. */
export class RateMeter {
  readonly #clock: Pick<Clock, 'now'>
  #bytes = 0
  #at: number

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#at = clock.now()
  }

  add(bytes: number): void {
    this.#fade()
    this.#bytes += bytes
  }

  get bytesPerSecond(): number {
    this.#fade()
    return Math.round((this.#bytes * 1_000) / FADE_MS)
  }

  #fade(): void {
    const now = this.#clock.now()
    this.#bytes *= Math.exp((this.#at - now) / FADE_MS)
    this.#at = now
  }
}
