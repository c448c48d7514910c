import { LinkSocksError } from '../../errors.js'
import type { AbortOptions, ByteStream, DatagramSocket, Dialer, EgressPolicy, Target } from '../../ports.js'
import type { HandshakeStream } from '../../streams/handshake-stream.js'
import { encodeHttpConnect } from './http-connect.js'
import { requestOfHttp } from './http-connect-client.js'
import { checkProxiedTarget, dialThroughProxy, type ProxyRoute } from './proxy-exchange.js'

export interface HttpProxyDialerOptions extends ProxyRoute {
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
  async dial(target: Target, options: AbortOptions = {}): Promise<ByteStream> {
    const { proxy, policy } = this.#options
    checkProxiedTarget(target, policy)
    const request = encodeHttpConnect(target, proxy.credentials)
    const ask = (handshake: HandshakeStream, deadline: AbortSignal) => requestOfHttp(handshake, request, deadline)
    return dialThroughProxy(this.#options, target, ask, options)
  }

  /** An HTTP proxy carries no UDP, and going around it would show the address it is there to hide. */
  async associate(): Promise<DatagramSocket> {
    throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'an HTTP proxy carries no UDP')
  }
}
