import { isLoopback } from '../address.js'
import { InboundPort, type InboundPortOptions } from '../inbound/inbound-port.js'
import type { ServeHttp } from '../inbound/serve-http.js'
import type { Logger } from '../log.js'
import { listenTcp, type TcpListener, type TcpListenOptions } from './net/tcp-listener.js'
import { bindDatagrams } from './net/udp-socket.js'
import { nodeClock } from './system/clock.js'

export interface SocksListenerOptions extends Omit<InboundPortOptions, 'bindDatagrams' | 'clock' | 'serveHttp'> {
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
  /** Names besides addresses by which the pages of the port may be asked for. @default none */
  readonly pacHosts?: readonly string[] | undefined
}

/**
 * Opens a proxy port whose requests go out through `dialer`.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export function listenSocks(options: SocksListenerOptions): Promise<TcpListener> {
  return listenTcp(socksListening(options))
}

/** What a listener does that is to be such a port. */
export function socksListening({ host, port, pacHosts = [], ...options }: SocksListenerOptions): TcpListenOptions {
  const inbound = new InboundPort({ ...options, bindDatagrams, clock: nodeClock, serveHttp: lazyHttp(pacHosts) })
  return {
    host,
    port,
    logger: options.log,
    onConnection: (stream, { localAddress, remoteAddress }) => inbound.accept(stream, localAddress, remoteAddress),
  }
}

/** Ports that no HTTP client comes to do without it. */
function lazyHttp(pacHosts: readonly string[]): ServeHttp {
  let loaded: Promise<ServeHttp> | undefined
  return async (client) => {
    loaded ??= loadHttp(pacHosts)
    try {
      await loaded
    } catch (thrown) {
      // for want of descriptors, perhaps: the next client tries again
      loaded = undefined
      throw thrown
    }
    return (await loaded)(client)
  }
}

async function loadHttp(pacHosts: readonly string[]): Promise<ServeHttp> {
  const { httpProxy } = await import('./http-proxy/http-proxy.js')
  return httpProxy(pacHosts)
}

/** Warns of a proxy port that asks for no password and that more than this machine can reach. */
export function warnIfUnprotected(log: Logger, host: string, username: string | undefined): void {
  if (username !== undefined || isLoopback(host)) return
  const reason = 'whoever reaches the proxy port may use it'
  log.warn('socks.unprotected', { host, reason, advice: 'set a user name and password, or listen on 127.0.0.1' })
}
