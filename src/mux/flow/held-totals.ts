import { LinkSocksError } from '../../errors.js'
import { KIB, MIB } from '../../protocol/limits.js'

/** A channel that holds no more than this is not the first to go. */
const MODEST_BYTES = 64 * KIB

/** By how much the windows of one link may have grown, all together: less than a relay holds for a link before it gives up channels. */
export const MAX_LINK_GROWTH_BYTES = 32 * MIB

export interface HeldLimits {
  /** What one link brought and nobody has taken yet; modest channels may double it. */
  readonly linkBytes: number
  /** The same for all links together; above it, links with more than an equal share of it get no more in. */
  readonly totalBytes: number
}

/** Data delivered to the ends of channels in this process and not used up: 512 stalled readers of one link. */
export const RECEIVED_LIMITS: HeldLimits = { linkBytes: 256 * MIB, totalBytes: 512 * MIB }

/**
 * Counts what waits for slow readers, by the link that brought it: windows bound each channel, these totals bound 20,000
 * of them, and thousands of links (docs/protocol.md B.2).
 */
export class HeldTotals {
  readonly #limits: HeldLimits
  readonly #links = new Map<object, number>()
  #bytes = 0
  readonly #grownOf = new Map<object, number>()
  readonly #waiting = new Map<object, (() => void)[]>()
  #grown = 0

  constructor(limits: HeldLimits) {
    this.#limits = limits
  }

  /** What waits of all links together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Links of which something waits. */
  get links(): number {
    return this.#links.size
  }

  /** Much waits: windows go back to what they began with. */
  get pressing(): boolean {
    return this.#bytes > this.#limits.totalBytes / 2
  }

  /**
   * Takes room for a window of `link` to grow by `bytes`, if there is any: {@link MAX_LINK_GROWTH_BYTES} a link, and half of
   * what may wait in all. To be given back with a negative number.
   */
  grow(link: object, bytes: number): boolean {
    const grown = (this.#grownOf.get(link) ?? 0) + bytes
    const tooMuch = grown > MAX_LINK_GROWTH_BYTES || this.#grown + bytes > this.#limits.totalBytes / 2
    if (bytes > 0 && (this.pressing || tooMuch)) return false
    this.#grown += bytes
    if (grown > 0) this.#grownOf.set(link, grown)
    else this.#grownOf.delete(link)
    return true
  }

  /** So many bytes more of `link` wait, or fewer when negative. */
  count(link: object, bytes: number): void {
    const held = (this.#links.get(link) ?? 0) + bytes
    this.#bytes += bytes
    if (held > 0) this.#links.set(link, held)
    else this.#links.delete(link)
    if (bytes < 0 && this.#waiting.size > 0 && held <= this.#limits.linkBytes / 4) this.#relieve(link)
  }

  /** So much of `link` waits that nothing should ask it for more. */
  crowds(link: object): boolean {
    return (this.#links.get(link) ?? 0) > this.#limits.linkBytes / 2
  }

  /** Calls back once, when half of what makes a link crowd is left or less. For a link that crowds. */
  onceRelieved(link: object, callback: () => void): void {
    const waiting = this.#waiting.get(link)
    if (waiting === undefined) this.#waiting.set(link, [callback])
    else waiting.push(callback)
  }

  #relieve(link: object): void {
    const waiting = this.#waiting.get(link)
    this.#waiting.delete(link)
    for (const callback of waiting ?? []) callback()
  }

  /** Whether a channel of `link` that holds `bytes` is among those that hold too much; one that `moves` counts as modest. */
  exceeds(link: object, bytes: number, moves = false): boolean {
    const { linkBytes, totalBytes } = this.#limits
    const held = this.#links.get(link) ?? 0
    const factor = bytes > MODEST_BYTES && !moves ? 1 : 2
    if (held > linkBytes * factor) return true
    return this.#bytes > totalBytes && held > (totalBytes / this.#links.size) * factor
  }

  /** @throws {LinkSocksError} ERR_LIMIT when {@link exceeds} */
  judge(link: object, bytes: number, moves = false): void {
    if (this.exceeds(link, bytes, moves))
      throw new LinkSocksError('ERR_LIMIT', 'too much of this link waits for slow readers')
  }
}
