import type { Logger } from '../log.js'
import type { Dialer } from '../ports.js'
import type { SocksCredentials } from '../socks/credentials.js'
import { serveSocks } from '../socks/server.js'
import { nodeClock } from './clock.js'
import { listenTcp, type TcpListener } from './tcp-listener.js'
import { bindDatagrams } from './udp-socket.js'

export interface SocksListenerOptions {
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
  readonly credentials: SocksCredentials | undefined
  readonly dialer: Dialer
  readonly log: Logger
}

/**
 * Opens a SOCKS5 port whose requests go out through `dialer`.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export function listenSocks({ host, port, credentials, dialer, log }: SocksListenerOptions): Promise<TcpListener> {
  return listenTcp({
    host,
    port,
    logger: log,
    onConnection: (stream, { localAddress, remoteAddress }) => {
      void serveSocks(stream, {
        dialer,
        clock: nodeClock,
        log,
        credentials,
        bindDatagrams,
        localAddress,
        remoteAddress,
      })
    },
  })
}
