import type { Clock } from '../../ports.js'

/** Who took no whole window for this long is not busy any more. */
const BUSY_MS = 200

/** Readers of one session that take data as fast as it comes. What is on its way for all of them is what others wait behind. */
export class BusyReaders {
  readonly #clock: Pick<Clock, 'now'>
  readonly #seenAt = new Map<object, number>()
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Notes that `reader` took a whole window just now. @returns how many readers are busy, itself included */
  note(reader: object): number {
    const now = this.#clock.now()
    this.#seenAt.set(reader, now)
    if (now - this.#sweptAt >= BUSY_MS) this.#sweep(now)
    return this.#seenAt.size
  }

  forget(reader: object): void {
    this.#seenAt.delete(reader)
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const [reader, seenAt] of this.#seenAt) if (now - seenAt >= BUSY_MS) this.#seenAt.delete(reader)
  }
}
