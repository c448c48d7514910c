import { isLoopback } from '../address.js'
import { InboundPort, type InboundPortOptions } from '../inbound/inbound-port.js'
import type { Logger } from '../log.js'
import { listenTcp, type TcpListener } from './net/tcp-listener.js'
import { bindDatagrams } from './net/udp-socket.js'
import { nodeClock } from './system/clock.js'

export interface SocksListenerOptions extends Omit<InboundPortOptions, 'bindDatagrams' | 'clock'> {
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
}

/**
 * Opens a SOCKS5 port whose requests go out through `dialer`.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export function listenSocks({ host, port, ...options }: SocksListenerOptions): Promise<TcpListener> {
  const inbound = new InboundPort({ ...options, bindDatagrams, clock: nodeClock })
  return listenTcp({
    host,
    port,
    logger: options.log,
    onConnection: (stream, { localAddress, remoteAddress }) => inbound.accept(stream, localAddress, remoteAddress),
  })
}

/** Warns of a SOCKS5 port that asks for no password and that more than this machine can reach. */
export function warnIfUnprotected(log: Logger, host: string, username: string | undefined): void {
  if (username !== undefined || isLoopback(host)) return
  const reason = 'whoever reaches the SOCKS5 port may use it'
  log.warn('socks.unprotected', { host, reason, advice: 'set a user name and password, or listen on 127.0.0.1' })
}
