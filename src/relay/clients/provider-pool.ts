import { LinkSocksError } from '../../errors.js'
import type { AbortOptions, Clock } from '../../ports.js'
import type { RelayClient } from './relay-client.js'

/** Requests of one pool that may wait for a provider. */
export const MAX_WAITING_FOR_PROVIDER = 10_000

interface Waiter {
  readonly group: string | undefined
  readonly resolve: (client: RelayClient) => void
}

/**
 * The living providers of one reverse token. Providers of one instance form a group; choice goes round robin over
 * them, and can be confined to one group.
 */
export class ProviderPool {
  readonly #clock: Clock
  readonly #clients: RelayClient[] = []
  readonly #waiters = new Set<Waiter>()
  #turn = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get clients(): readonly RelayClient[] {
    return this.#clients
  }

  has(group: string): boolean {
    return this.#clients.some((client) => client.group === group)
  }

  add(client: RelayClient): void {
    this.#clients.push(client)
    for (const waiter of [...this.#waiters]) {
      if (waiter.group === undefined || waiter.group === client.group) waiter.resolve(client)
    }
  }

  remove(client: RelayClient): void {
    const index = this.#clients.indexOf(client)
    if (index >= 0) this.#clients.splice(index, 1)
  }

  /** The next living provider in turn. */
  pick(group?: string): RelayClient | undefined {
    for (let tried = 0; tried < this.#clients.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#clients.length
      const client = this.#clients[this.#turn]
      if (client?.session.available && (group === undefined || client.group === group)) return client
    }
    return undefined
  }

  /**
   * The next provider in turn; without one, waits up to `waitMs`.
   * @throws {LinkSocksError} ERR_DIAL_NETWORK_UNREACHABLE (none came), ERR_LIMIT, ERR_CANCELLED
   */
  async choose(waitMs: number, group: string | undefined, { signal }: AbortOptions = {}): Promise<RelayClient> {
    const client = this.pick(group)
    if (client !== undefined) return client
    if (waitMs <= 0) throw noProvider()
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    if (this.#waiters.size >= MAX_WAITING_FOR_PROVIDER) {
      throw new LinkSocksError('ERR_LIMIT', 'too many requests wait for a provider')
    }
    return this.#wait(waitMs, group, signal)
  }

  #wait(waitMs: number, group: string | undefined, signal: AbortSignal | undefined): Promise<RelayClient> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        this.#waiters.delete(waiter)
        timer.cancel()
        signal?.removeEventListener('abort', cancel)
        action()
      }
      const cancel = (): void => settle(() => signal && reject(LinkSocksError.cancelled(signal)))
      const waiter: Waiter = { group, resolve: (client) => settle(() => resolve(client)) }
      const timer = this.#clock.after(waitMs, () => settle(() => reject(noProvider())))
      signal?.addEventListener('abort', cancel)
      this.#waiters.add(waiter)
    })
  }
}

function noProvider(): LinkSocksError {
  return new LinkSocksError('ERR_DIAL_NETWORK_UNREACHABLE', 'no available reverse clients')
}
