import { LinkSocksError } from '../errors.js'
import { KIB, MIB } from '../protocol/limits.js'

/** What one link brought may wait in the relay for slow readers, whatever their windows; modest channels may double it. */
export const MAX_LINK_HELD_BYTES = 64 * MIB
/** The same for all links together; above it, links with more than an equal share of it get no more in. */
export const MAX_RELAY_HELD_BYTES = 512 * MIB
/** A channel that holds no more than this is not the first to go. */
const MODEST_BYTES = 64 * KIB

/**
 * Counts what waits in one relay, by the link that brought it: windows bound each channel, these totals bound 20,000 of
 * them, and thousands of links (docs/protocol.md B.2).
 */
export class HeldTotals {
  readonly #links = new Map<object, number>()
  #bytes = 0

  /** What waits of all links together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Links of which something waits. */
  get links(): number {
    return this.#links.size
  }

  /** So many bytes more of `link` wait, or fewer when negative. */
  count(link: object, bytes: number): void {
    const held = (this.#links.get(link) ?? 0) + bytes
    this.#bytes += bytes
    if (held > 0) this.#links.set(link, held)
    else this.#links.delete(link)
  }

  /** Whether a channel of `link` that holds `bytes` is among those that hold too much. */
  exceeds(link: object, bytes: number): boolean {
    const held = this.#links.get(link) ?? 0
    const factor = bytes > MODEST_BYTES ? 1 : 2
    if (held > MAX_LINK_HELD_BYTES * factor) return true
    return this.#bytes > MAX_RELAY_HELD_BYTES && held > (MAX_RELAY_HELD_BYTES / this.#links.size) * factor
  }

  /** @throws {LinkSocksError} ERR_LIMIT when {@link exceeds} */
  judge(link: object, bytes: number): void {
    if (this.exceeds(link, bytes)) throw new LinkSocksError('ERR_LIMIT', 'too much of this link waits for slow readers')
  }
}
