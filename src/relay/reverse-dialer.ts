import { LinkSocksError } from '../errors.js'
import { SessionDialer } from '../mux/session-dialer.js'
import type { AbortOptions, ByteStream, DatagramSocket, Dialer, Target } from '../ports.js'
import type { ProviderPool } from './provider-pool.js'
import type { RelayLink } from './relay-link.js'

/** How long a request on a reverse token's SOCKS port waits for a first provider (docs/protocol.md A.5). */
export const REVERSE_WAIT_MS = 10_000
/** Providers tried for one request when link after link is lost under it. */
const MAX_ATTEMPTS = 4

/** The way out of a reverse token's SOCKS port: its providers in turn. */
export class ReverseDialer implements Dialer {
  readonly #providers: ProviderPool
  readonly #fastOpen: boolean

  constructor(providers: ProviderPool, fastOpen: boolean) {
    this.#providers = providers
    this.#fastOpen = fastOpen
  }

  dial(target: Target, options?: AbortOptions): Promise<ByteStream> {
    return this.#withProvider((dialer) => dialer.dial(target, options), options)
  }

  associate(options?: AbortOptions): Promise<DatagramSocket> {
    return this.#withProvider((dialer) => dialer.associate(options), options)
  }

  async #withProvider<T>(open: (dialer: Dialer) => Promise<T>, options: AbortOptions | undefined): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const link = await this.#providers.choose(REVERSE_WAIT_MS, undefined, options)
      try {
        return await open(this.#dialerOf(link))
      } catch (thrown) {
        // a provider that vanished has dialled for nobody: the next one may
        const { code } = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
        const lost = link.session.ended && code !== 'ERR_SHUTTING_DOWN'
        if (!lost || attempt >= MAX_ATTEMPTS || options?.signal?.aborted === true) throw thrown
      }
    }
  }

  #dialerOf(link: RelayLink): Dialer {
    return new SessionDialer(link.session, { fastOpen: this.#fastOpen && link.extensions })
  }
}
