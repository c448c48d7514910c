import { LinkSocksError } from '../../errors.js'
import { SessionDialer } from '../../mux/session-dialer.js'
import type { ByteStream, DatagramSocket, Dialer, DialOptions, Target } from '../../ports.js'
import type { Providers } from '../clients/providers.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { Streams } from '../observe/streams.js'
import type { Policed } from '../policies/policed-token.js'

/** How long a request on a reverse token's SOCKS port waits for a first provider (docs/protocol.md A.5). */
export const REVERSE_WAIT_MS = 10_000

export interface ReverseDialerOptions {
  readonly fastOpen: boolean
  readonly streams: Streams
  readonly tokenId: string
  /** Whose policies hold for it. */
  readonly tokens: Policed
}

export interface ReverseDialOptions extends DialOptions {
  /** Called when a provider is about to be asked; what it throws ends that. */
  readonly begun?: ((target?: Target) => void) | undefined
  /** Providers that judge by the policies, which are told of them. @default any provider, which is told of none */
  readonly only?: ((client: RelayClient) => boolean) | undefined
  /** The host that was asked for, where its name is looked up before. */
  readonly asked?: string | undefined
}

/** The way out of a reverse token's SOCKS port: its providers in turn. */
export class ReverseDialer implements Dialer {
  readonly #providers: Providers
  readonly #options: ReverseDialerOptions

  constructor(providers: Providers, options: ReverseDialerOptions) {
    this.#providers = providers
    this.#options = options
  }

  dial(target: Target, options?: ReverseDialOptions): Promise<ByteStream> {
    return this.#open(
      (dialer) => dialer.dial(target, options),
      (stream) => stream.abort(beaten()),
      options,
    )
  }

  associate(options?: ReverseDialOptions): Promise<DatagramSocket> {
    return this.#open(
      (dialer) => dialer.associate(options),
      (socket) => socket.close(),
      options,
    )
  }

  #open<T>(
    open: (dialer: Dialer) => Promise<T>,
    discard: (opened: T) => void,
    { signal, ...asking }: ReverseDialOptions = {},
  ): Promise<T> {
    return this.#providers.open((client) => open(this.#dialerOf(client, asking)), {
      waitMs: REVERSE_WAIT_MS,
      signal,
      only: asking.only,
      discard,
      // a provider that vanished has dialled for nobody: the next one may, unless it was the relay that ended it
      goesOn: ({ code }) => code !== 'ERR_SHUTTING_DOWN',
      unserved: (error) => this.#options.streams.refused('reverse', error),
    })
  }

  #dialerOf(client: RelayClient, { inbound, begun, only, asked }: ReverseDialOptions): Dialer {
    const { fastOpen, streams, tokenId, tokens } = this.#options
    const refs = only === undefined ? [] : (client.policies?.refsOf(tokens) ?? [])
    return new SessionDialer(client.session, {
      fastOpen: fastOpen && client.extensions,
      observe: (target) => {
        begun?.(target)
        return streams.observe({
          mode: 'reverse',
          inbound,
          tokenId,
          tokens,
          judged: refs.length > 0,
          target,
          asked: asked === target?.host ? undefined : asked,
          provider: client,
        })
      },
      policies: refs.length > 0 ? refs : undefined,
    })
  }
}

function beaten(): LinkSocksError {
  return new LinkSocksError('ERR_CANCELLED', 'another provider answered first')
}
