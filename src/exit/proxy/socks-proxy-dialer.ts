import { canonicalHost, canonicalIp, isIpv6, isLinkLocalIpv6 } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { type Logger, silentLogger } from '../../log.js'
import type {
  AbortOptions,
  BindDatagrams,
  ByteStream,
  DatagramSocket,
  Dialer,
  EgressPolicy,
  Resolve,
  SocketAddress,
  Target,
} from '../../ports.js'
import { Cmd, encodeRequest } from '../../socks/codec.js'
import type { HandshakeStream } from '../../streams/handshake-stream.js'
import { interleaveFamilies, raceConnect } from '../dial/race.js'
import { bindUdp } from '../udp/udp-relay.js'
import { checkProxiedTarget, dialThroughProxy, exchangeWithProxy, type ProxyRoute } from './proxy-exchange.js'
import { requestOfSocks } from './socks-client.js'
import { SocksProxyAssociation } from './socks-proxy-association.js'

export interface SocksProxyDialerOptions extends ProxyRoute {
  /** @default silent */
  readonly log?: Logger | undefined
  /** Judges targets given as IP text; domains are resolved by the proxy and not judged. @default everything is allowed */
  readonly policy?: EgressPolicy | undefined
  /** Resolves the proxy's name for UDP ASSOCIATE. @default no UDP */
  readonly resolve?: Resolve | undefined
  /** The sockets for UDP ASSOCIATE. @default no UDP */
  readonly bindDatagrams?: BindDatagrams | undefined
  /** Milliseconds without traffic after which an association closes. @default UDP_TIMEOUT_MS */
  readonly udpTimeoutMs?: number | undefined
}

/** Dials through a SOCKS5 proxy (RFC 1928, RFC 1929); the proxy resolves names. */
export class SocksProxyDialer implements Dialer {
  readonly #options: SocksProxyDialerOptions

  constructor(options: SocksProxyDialerOptions) {
    this.#options = options
  }

  /** @throws {LinkSocksError} as exchangeWithProxy(); ERR_DIAL_NOT_ALLOWED, ERR_DIAL_FAILED for port 0 or a broken host */
  async dial(target: Target, options: AbortOptions = {}): Promise<ByteStream> {
    const { proxy, policy } = this.#options
    checkProxiedTarget(target, policy)
    const request = encodeConnect(target)
    const ask = (handshake: HandshakeStream, deadline: AbortSignal) =>
      requestOfSocks(handshake, request, proxy.credentials, deadline)
    return dialThroughProxy(this.#options, target, ask, options)
  }

  /**
   * UDP ASSOCIATE (RFC 1928 section 7).
   * @throws {LinkSocksError} as exchangeWithProxy(); ERR_DIAL_UNSUPPORTED without `resolve` and `bindDatagrams`, or when the
   *   proxy carries no UDP
   */
  async associate({ signal }: AbortOptions = {}): Promise<DatagramSocket> {
    const { proxy, clock, log = silentLogger, policy, resolve, bindDatagrams, udpTimeoutMs } = this.#options
    if (resolve === undefined || bindDatagrams === undefined) {
      throw new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'the way through the proxy carries no UDP')
    }
    let proxyHost = proxy.host
    return exchangeWithProxy({
      clock,
      what: 'opening a UDP association',
      signal,
      connect: async (deadline) => {
        const connected = await this.#connectByAddress(resolve, deadline)
        proxyHost = connected.address.host
        return connected.stream
      },
      talk: async (handshake, deadline) => {
        // the address datagrams will come from is not known yet, zeros say so
        const request = encodeRequest({ cmd: Cmd.UdpAssociate, target: { host: '0.0.0.0', port: 0 } })
        const bound = await requestOfSocks(handshake, request, proxy.credentials, deadline)
        const relay = await relayAddress(bound, proxyHost, resolve, deadline)
        const socket = await bindUdp(bindDatagrams, isIpv6(relay.host) ? '::' : '0.0.0.0')
        const control = handshake.release()
        return new SocksProxyAssociation({ socket, relay, control, clock, log, policy, timeoutMs: udpTimeoutMs })
      },
      discard: (association) => association.close(),
    })
  }

  /** As `inner.dial(proxy)`, but tells which of the proxy's addresses answered: BND.ADDR may leave it to us. */
  async #connectByAddress(resolve: Resolve, signal: AbortSignal) {
    const { proxy, inner, clock } = this.#options
    const hosts = interleaveFamilies(await resolve(proxy.host, { signal }))
    const addresses = hosts.map((host) => ({ host, port: proxy.port }))
    return raceConnect(addresses, { connectTcp: (address, options) => inner.dial(address, options), clock, signal })
  }
}

function encodeConnect(target: Target): Uint8Array {
  try {
    return encodeRequest({ cmd: Cmd.Connect, target })
  } catch (thrown) {
    const cause = LinkSocksError.from(thrown, 'ERR_SOCKS_MALFORMED')
    throw new LinkSocksError('ERR_DIAL_FAILED', `a SOCKS5 proxy can't be asked for this host: ${cause.message}`, {
      cause,
    })
  }
}

/** Where datagrams go: BND.ADDR, or the proxy's own address where that is unspecified, or a name that leads nowhere. */
async function relayAddress(
  bound: Target,
  proxyHost: string,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<SocketAddress> {
  if (bound.port === 0) throw new LinkSocksError('ERR_PROXY_FAILED', 'the proxy named port 0 for UDP')
  const ip = canonicalIp(bound.host) ?? (await addressOf(bound.host, resolve, signal))
  const unspecified = ip === undefined || ip === '0.0.0.0' || ip === '::'
  const host = unspecified ? proxyHost : ip
  if (isLinkLocalIpv6(host)) {
    throw new LinkSocksError(
      'ERR_PROXY_FAILED',
      'the proxy named a link-local IPv6 address for UDP, whose zone SOCKS5 does not carry',
    )
  }
  return { host: canonicalHost(host), port: bound.port }
}

/** The first address of a name, unless there is none, or the proxy made it up. */
async function addressOf(name: string, resolve: Resolve, signal: AbortSignal): Promise<string | undefined> {
  if (name === '') return undefined
  try {
    return (await resolve(name, { signal }))[0]
  } catch {
    if (signal.aborted) throw LinkSocksError.cancelled(signal)
    return undefined
  }
}
