import { LinkSocksError } from '../../errors.js'
import { SessionDialer } from '../../mux/session-dialer.js'
import type { AbortOptions, ByteStream, DatagramSocket, Dialer, Target } from '../../ports.js'
import type { ProviderPool } from '../clients/provider-pool.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { Streams } from '../observe/streams.js'

/** How long a request on a reverse token's SOCKS port waits for a first provider (docs/protocol.md A.5). */
export const REVERSE_WAIT_MS = 10_000
/** Providers tried for one request when session after session is lost under it. */
const MAX_ATTEMPTS = 4

export interface ReverseDialerOptions {
  readonly fastOpen: boolean
  readonly streams: Streams
  readonly tokenId: string
}

/** The way out of a reverse token's SOCKS port: its providers in turn. */
export class ReverseDialer implements Dialer {
  readonly #providers: ProviderPool
  readonly #options: ReverseDialerOptions

  constructor(providers: ProviderPool, options: ReverseDialerOptions) {
    this.#providers = providers
    this.#options = options
  }

  dial(target: Target, options?: AbortOptions): Promise<ByteStream> {
    return this.#withProvider((dialer) => dialer.dial(target, options), options)
  }

  associate(options?: AbortOptions): Promise<DatagramSocket> {
    return this.#withProvider((dialer) => dialer.associate(options), options)
  }

  async #withProvider<T>(open: (dialer: Dialer) => Promise<T>, options: AbortOptions | undefined): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#choose(options)
      try {
        return await open(this.#dialerOf(client))
      } catch (thrown) {
        // a provider that vanished has dialled for nobody: the next one may
        const { code } = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
        const lost = client.session.ended && code !== 'ERR_SHUTTING_DOWN'
        if (!lost || attempt >= MAX_ATTEMPTS || options?.signal?.aborted === true) throw thrown
      }
    }
  }

  async #choose(options: AbortOptions | undefined): Promise<RelayClient> {
    try {
      return await this.#providers.choose(REVERSE_WAIT_MS, undefined, options)
    } catch (thrown) {
      this.#options.streams.refused('reverse', LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
      throw thrown
    }
  }

  #dialerOf(client: RelayClient): Dialer {
    const { fastOpen, streams, tokenId } = this.#options
    return new SessionDialer(client.session, {
      fastOpen: fastOpen && client.extensions,
      observe: (target) => streams.observe({ mode: 'reverse', tokenId, target, provider: client }),
    })
  }
}
