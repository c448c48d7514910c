import { MIB } from '../../protocol/limits.js'

/** Bytes of datagrams that all associations of one link or SOCKS port hold back for look-ups; one more is dropped. */
export const MAX_GATED_BYTES = 8 * MIB
/** Those of one source among them: all associations of one client of a SOCKS port. */
export const MAX_GATED_BYTES_OF_SOURCE = 2 * MIB

/** What associations hold back together, and what each source has of it. */
export class GatedTotal {
  #bytes = 0
  readonly #bytesOf = new Map<string, number>()

  get bytes(): number {
    return this.#bytes
  }

  /** What `source` has of it. */
  bytesOf(source: string): number {
    return this.#bytesOf.get(source) ?? 0
  }

  /** Whether so many more may be held. @param source `undefined`: it has no share but the whole */
  fits(bytes: number, source?: string): boolean {
    if (this.#bytes + bytes > MAX_GATED_BYTES) return false
    return source === undefined || this.bytesOf(source) + bytes <= MAX_GATED_BYTES_OF_SOURCE
  }

  /** So many are held more, or fewer when `change` is negative. */
  add(change: number, source?: string): void {
    this.#bytes += change
    if (source === undefined) return
    const now = this.bytesOf(source) + change
    if (now > 0) this.#bytesOf.set(source, now)
    else this.#bytesOf.delete(source)
  }
}
