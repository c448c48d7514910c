import { BlockList, isIP } from 'node:net'
import { LinkSocksError } from '../errors.js'
import { AssociationLimit } from '../exit/udp/association-limit.js'
import { PendingConnections } from '../inbound/pending-connections.js'
import { serveInbound } from '../inbound/serve-inbound.js'
import { type Logger, limitedLog } from '../log.js'
import type { BindDatagrams, Dialer } from '../ports.js'
import type { SocksCredentials } from '../socks/credentials.js'
import { listenTcp, type TcpListener } from './net/tcp-listener.js'
import { bindDatagrams } from './net/udp-socket.js'
import { nodeClock } from './system/clock.js'

export interface SocksListenerOptions {
  readonly host: string
  /** 0 lets the system pick. */
  readonly port: number
  /** Asked at each connection. */
  readonly credentials: () => SocksCredentials | undefined
  readonly dialer: Dialer
  readonly log: Logger
  /** Called when a client gave a wrong user name or password. */
  readonly unauthorized?: (() => void) | undefined
  /** Clients at a time whose request is still to come. @default 1_024 */
  readonly maxPending?: number | undefined
}

/**
 * Opens a SOCKS5 port whose requests go out through `dialer`.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export function listenSocks({
  host,
  port,
  credentials,
  dialer,
  log,
  unauthorized,
  maxPending,
}: SocksListenerOptions): Promise<TcpListener> {
  const limited = limitedLog(log, () => nodeClock.now())
  const pendingConnections = new PendingConnections(maxPending, (address) => limited.warn('socks.crowded', { address }))
  const associations = new AssociationLimit()
  const bind: BindDatagrams = async (address) => {
    const bound = await associations.take(() => bindDatagrams(address))
    return Object.assign(bound, { address: bound.socket.address })
  }
  return listenTcp({
    host,
    port,
    logger: log,
    onConnection: (stream, { localAddress, remoteAddress }) => {
      const pending = pendingConnections.add(remoteAddress.host, () => stream.terminate(crowded()))
      const served = serveInbound(stream, {
        dialer,
        clock: nodeClock,
        log,
        credentials: credentials(),
        unauthorized,
        bindDatagrams: bind,
        localAddress,
        remoteAddress,
        requested: () => pending.settled(),
      })
      void served.then(() => pending.settled())
    },
  })
}

function crowded(): LinkSocksError {
  return new LinkSocksError('ERR_LIMIT', 'too many clients that ask for nothing')
}

/** Warns of a SOCKS5 port that asks for no password and that more than this machine can reach. */
export function warnIfUnprotected(log: Logger, host: string, username: string | undefined): void {
  if (username !== undefined || isLoopbackHost(host)) return
  const reason = 'whoever reaches the SOCKS5 port may use it'
  log.warn('socks.unprotected', { host, reason, advice: 'set a user name and password, or listen on 127.0.0.1' })
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can reach what listens on `host`. */
export function isLoopbackHost(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return /^(.+\.)?localhost\.?$/i.test(host)
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
