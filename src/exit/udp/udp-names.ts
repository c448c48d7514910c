import { LinkSocksError } from '../../errors.js'
import { Lru } from '../../lru.js'
import type { Clock, Resolve } from '../../ports.js'

/** How long an association goes on using what a name resolved to. */
export const NAME_TTL_MS = 60_000
/** How long a name that did not resolve is not asked for again. */
export const FAILED_NAME_TTL_MS = 5_000
/** Names an association remembers; the least recently used goes first. */
export const MAX_NAMES = 256
/** Look-ups an association may have under way. */
export const MAX_PENDING_NAMES = 16
/** Addresses remembered for one name. */
const MAX_ADDRESSES_PER_NAME = 8

interface Answer {
  readonly addresses: readonly string[]
  readonly expires: number
}

/** What the destinations of one association resolve to: a small cache with a bound on what is being asked. */
export class UdpNames {
  readonly #resolve: Resolve
  readonly #clock: Clock
  readonly #answers = new Lru<string, Answer>(MAX_NAMES)
  /** Each look-up has a controller of its own: one signal for all would gather listeners. */
  readonly #pending = new Map<string, AbortController>()

  constructor(resolve: Resolve, clock: Clock) {
    this.#resolve = resolve
    this.#clock = clock
  }

  /** Names remembered and being asked for. */
  get size(): number {
    return this.#answers.size + this.#pending.size
  }

  /** The addresses of `name`, none if it did not resolve; `undefined` when it has to be asked for. */
  known(name: string): readonly string[] | undefined {
    const answer = this.#answers.touch(name)
    if (answer === undefined || answer.expires > this.#clock.now()) return answer?.addresses
    this.#answers.delete(name)
    return undefined
  }

  /**
   * Sees to it that `name` becomes known; `onKnown` is called then, unless close() comes first or the name was already
   * being asked for. False when too many are.
   */
  ask(name: string, onKnown: () => void): boolean {
    if (this.#pending.has(name)) return true
    if (this.#pending.size >= MAX_PENDING_NAMES) return false
    const lookup = new AbortController()
    this.#pending.set(name, lookup)
    void this.#ask(name, lookup.signal, onKnown)
    return true
  }

  /** Ends look-ups and forgets everything. */
  close(): void {
    const reason = new LinkSocksError('ERR_CANCELLED', 'the association is over')
    for (const lookup of this.#pending.values()) lookup.abort(reason)
    this.#pending.clear()
    this.#answers.clear()
  }

  async #ask(name: string, signal: AbortSignal, onKnown: () => void): Promise<void> {
    const addresses = await this.#addressesOf(name, signal)
    if (signal.aborted) return
    this.#pending.delete(name)
    const ttl = addresses.length > 0 ? NAME_TTL_MS : FAILED_NAME_TTL_MS
    this.#answers.set(name, { addresses, expires: this.#clock.now() + ttl })
    onKnown()
  }

  async #addressesOf(name: string, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const addresses = await this.#resolve(name, { signal })
      return addresses.slice(0, MAX_ADDRESSES_PER_NAME)
    } catch {
      // UDP tells its sender nothing; the datagrams are counted as unresolved
      return []
    }
  }
}
