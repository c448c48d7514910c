export interface LeakyCountOptions {
  /** One is forgiven each time so many milliseconds have passed. */
  readonly forgivenAfterMs: number
  /** The count grows no further, so that a flood is forgiven in bounded time. @default unlimited */
  readonly max?: number | undefined
}

/** A count that is forgiven over time, one by one. All times are milliseconds of one monotonic clock. */
export class LeakyCount {
  readonly #options: LeakyCountOptions
  #count = 0
  /** Up to then it is forgiven. */
  #since = 0

  constructor(options: LeakyCountOptions) {
    this.#options = options
  }

  /** Counts one more. @returns the count with it */
  add(now: number): number {
    const { max = Number.POSITIVE_INFINITY } = this.#options
    this.#count = Math.min(this.at(now) + 1, max)
    return this.#count
  }

  /** What is left of it at `now`. */
  at(now: number): number {
    const { forgivenAfterMs } = this.#options
    const forgiven = Math.floor((now - this.#since) / forgivenAfterMs)
    this.#count = Math.max(0, this.#count - forgiven)
    this.#since = this.#count === 0 ? now : this.#since + forgiven * forgivenAfterMs
    return this.#count
  }
}
