import { Lru } from '../../lru.js'
import type { SocketAddress } from '../../ports.js'

/** Refused addresses with their ports that are remembered; the one that was asked for longest ago goes first. */
export const MAX_REFUSED_ADDRESSES = 256

/** Something that judges addresses, such as an access list. */
export interface AddressJudge {
  allows(address: SocketAddress): boolean
}

/** Asks judges about addresses, and remembers what they refused: a list may have thousands of entries. Forgets it for other judges. */
export class RecentRefusals {
  #judges: readonly AddressJudge[] = []
  readonly #refused = new Lru<string, true>(MAX_REFUSED_ADDRESSES)

  get size(): number {
    return this.#refused.size
  }

  /** Whether each of `judges` allows `address`. */
  allows(address: SocketAddress, judges: readonly AddressJudge[]): boolean {
    this.#follow(judges)
    const key = `${address.host} ${address.port}`
    if (this.#refused.touch(key) !== undefined) return false
    if (judges.every((judge) => judge.allows(address))) return true
    this.#refused.set(key, true)
    return false
  }

  clear(): void {
    this.#refused.clear()
  }

  #follow(judges: readonly AddressJudge[]): void {
    const known = this.#judges
    if (judges.length === known.length && judges.every((judge, at) => judge === known[at])) return
    this.#judges = judges
    this.#refused.clear()
  }
}
