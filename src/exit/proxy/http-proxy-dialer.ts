import { addressText } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { AbortOptions, ByteStream, Clock, DatagramSocket, Dialer, EgressPolicy, Target } from '../../ports.js'
import { encodeHttpConnect } from './http-connect.js'
import { requestOfHttp } from './http-connect-client.js'
import { checkProxiedTarget, exchangeWithProxy } from './proxy-exchange.js'
import type { ProxyUrl } from './proxy-url.js'

export interface HttpProxyDialerOptions {
  readonly proxy: ProxyUrl
  /** The way to the proxy itself. */
  readonly inner: Dialer
  readonly clock: Clock
  /** Judges targets given as IP text; domains are resolved by the proxy and not judged. @default everything is allowed */
  readonly policy?: EgressPolicy | undefined
}

/** Dials through an HTTP proxy by CONNECT; the proxy resolves names. */
export class HttpProxyDialer implements Dialer {
  readonly #options: HttpProxyDialerOptions

  constructor(options: HttpProxyDialerOptions) {
    this.#options = options
  }

  /** @throws {LinkSocksError} as exchangeWithProxy(); ERR_DIAL_NOT_ALLOWED, ERR_DIAL_FAILED for port 0 or a broken host */
  async dial(target: Target, { signal }: AbortOptions = {}): Promise<ByteStream> {
    const { proxy, inner, clock, policy } = this.#options
    checkProxiedTarget(target, policy)
    const request = encodeHttpConnect(target, proxy.credentials)
    return exchangeWithProxy({
      clock,
      what: `connecting to ${addressText(target)}`,
      signal,
      connect: (deadline) => inner.dial(proxy, { signal: deadline }),
      talk: async (handshake, deadline) => {
        await requestOfHttp(handshake, request, deadline)
        return handshake.release()
      },
      discard: (stream) => stream.abort(new LinkSocksError('ERR_CANCELLED', 'nobody waits for it any more')),
    })
  }

  /** An HTTP proxy carries no UDP, and going around it would show the address it is there to hide. */
  async associate(): Promise<DatagramSocket> {
    throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'an HTTP proxy carries no UDP')
  }
}
