import { LinkSocksError } from '../../errors.js'
import type { AbortOptions, Clock } from '../../ports.js'
import type { RelayLink } from './relay-link.js'

/** Requests of one pool that may wait for a provider. */
export const MAX_WAITING_FOR_PROVIDER = 10_000

interface Waiter {
  readonly group: string | undefined
  readonly resolve: (link: RelayLink) => void
}

/**
 * The living providers of one reverse token. Links of one client instance form a group; choice goes round robin over
 * the links, and can be confined to one group.
 */
export class ProviderPool {
  readonly #clock: Clock
  readonly #links: RelayLink[] = []
  readonly #waiters = new Set<Waiter>()
  #turn = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get links(): readonly RelayLink[] {
    return this.#links
  }

  has(group: string): boolean {
    return this.#links.some((link) => link.group === group)
  }

  add(link: RelayLink): void {
    this.#links.push(link)
    for (const waiter of [...this.#waiters]) {
      if (waiter.group === undefined || waiter.group === link.group) waiter.resolve(link)
    }
  }

  remove(link: RelayLink): void {
    const index = this.#links.indexOf(link)
    if (index >= 0) this.#links.splice(index, 1)
  }

  /** The next living provider in turn. */
  pick(group?: string): RelayLink | undefined {
    for (let tried = 0; tried < this.#links.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#links.length
      const link = this.#links[this.#turn]
      if (link?.session.available && (group === undefined || link.group === group)) return link
    }
    return undefined
  }

  /**
   * The next provider in turn; without one, waits up to `waitMs`.
   * @throws {LinkSocksError} ERR_DIAL_NETWORK_UNREACHABLE (none came), ERR_LIMIT, ERR_CANCELLED
   */
  async choose(waitMs: number, group: string | undefined, { signal }: AbortOptions = {}): Promise<RelayLink> {
    const link = this.pick(group)
    if (link !== undefined) return link
    if (waitMs <= 0) throw noProvider()
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    if (this.#waiters.size >= MAX_WAITING_FOR_PROVIDER) {
      throw new LinkSocksError('ERR_LIMIT', 'too many requests wait for a provider')
    }
    return this.#wait(waitMs, group, signal)
  }

  #wait(waitMs: number, group: string | undefined, signal: AbortSignal | undefined): Promise<RelayLink> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        this.#waiters.delete(waiter)
        timer.cancel()
        signal?.removeEventListener('abort', cancel)
        action()
      }
      const cancel = (): void => settle(() => signal && reject(LinkSocksError.cancelled(signal)))
      const waiter: Waiter = { group, resolve: (link) => settle(() => resolve(link)) }
      const timer = this.#clock.after(waitMs, () => settle(() => reject(noProvider())))
      signal?.addEventListener('abort', cancel)
      this.#waiters.add(waiter)
    })
  }
}

function noProvider(): LinkSocksError {
  return new LinkSocksError('ERR_DIAL_NETWORK_UNREACHABLE', 'no available reverse clients')
}
