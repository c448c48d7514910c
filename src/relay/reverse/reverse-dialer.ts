import { LinkSocksError } from '../../errors.js'
import { SessionDialer } from '../../mux/session-dialer.js'
import type { ByteStream, DatagramSocket, Dialer, DialOptions, ProxyProtocol, Target } from '../../ports.js'
import type { Providers } from '../clients/providers.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { Streams } from '../observe/streams.js'

/** How long a request on a reverse token's SOCKS port waits for a first provider (docs/protocol.md A.5). */
export const REVERSE_WAIT_MS = 10_000

export interface ReverseDialerOptions {
  readonly fastOpen: boolean
  readonly streams: Streams
  readonly tokenId: string
}

/** The way out of a reverse token's SOCKS port: its providers in turn. */
export class ReverseDialer implements Dialer {
  readonly #providers: Providers
  readonly #options: ReverseDialerOptions

  constructor(providers: Providers, options: ReverseDialerOptions) {
    this.#providers = providers
    this.#options = options
  }

  dial(target: Target, options?: DialOptions): Promise<ByteStream> {
    return this.#open(
      (dialer) => dialer.dial(target, options),
      (stream) => stream.abort(beaten()),
      options,
    )
  }

  associate(options?: DialOptions): Promise<DatagramSocket> {
    return this.#open(
      (dialer) => dialer.associate(options),
      (socket) => socket.close(),
      options,
    )
  }

  #open<T>(
    open: (dialer: Dialer) => Promise<T>,
    discard: (opened: T) => void,
    { signal, inbound }: DialOptions = {},
  ): Promise<T> {
    return this.#providers.open((client) => open(this.#dialerOf(client, inbound)), {
      waitMs: REVERSE_WAIT_MS,
      signal,
      discard,
      // a provider that vanished has dialled for nobody: the next one may, unless it was the relay that ended it
      goesOn: ({ code }) => code !== 'ERR_SHUTTING_DOWN',
      unserved: (error) => this.#options.streams.refused('reverse', error),
    })
  }

  #dialerOf(client: RelayClient, inbound: ProxyProtocol | undefined): Dialer {
    const { fastOpen, streams, tokenId } = this.#options
    return new SessionDialer(client.session, {
      fastOpen: fastOpen && client.extensions,
      observe: (target) => streams.observe({ mode: 'reverse', inbound, tokenId, target, provider: client }),
    })
  }
}

function beaten(): LinkSocksError {
  return new LinkSocksError('ERR_CANCELLED', 'another provider answered first')
}
