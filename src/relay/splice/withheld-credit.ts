import type { HeldTotals } from '../../mux/flow/held-totals.js'

/**
 * Credit on its way to one end of a spliced channel. While much of what that end's session brought still waits in the relay, it
 * is kept back: windows of many channels, each fit for a long path, are together more than a relay holds for one session.
 */
export class WithheldCredit {
  readonly #totals: HeldTotals
  readonly #session: object
  readonly #give: (credit: number) => void
  #bytes = 0
  #ended = false

  /** @param give gets what was kept back, once there is room again. */
  constructor(totals: HeldTotals, session: object, give: (credit: number) => void) {
    this.#totals = totals
    this.#session = session
    this.#give = give
  }

  /** @returns how much of `credit` may go on now: all or nothing. */
  pass(credit: number): number {
    if (credit === 0 || this.#ended || !this.#totals.crowds(this.#session)) return credit
    if (this.#bytes === 0) this.#totals.onceRelieved(this.#session, () => this.#relieved())
    this.#bytes += credit
    return 0
  }

  /** The channel is over. */
  end(): void {
    this.#ended = true
    this.#bytes = 0
  }

  #relieved(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    if (bytes > 0) this.#give(bytes)
  }
}
