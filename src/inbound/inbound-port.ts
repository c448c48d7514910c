import { LinkSocksError } from '../errors.js'
import { AssociationLimit } from '../exit/udp/association-limit.js'
import { type Logger, limitedLog } from '../log.js'
import type {
  BindDatagrams,
  ByteStream,
  Clock,
  Credentials,
  Dialer,
  LocalAddress,
  ProxyProtocol,
  SocketAddress,
} from '../ports.js'
import type { Departure } from './departure.js'
import type { Verdict } from './failed-attempts.js'
import { PendingConnections } from './pending-connections.js'
import type { ServeHttp } from './serve-http.js'
import { serveInbound } from './serve-inbound.js'

/** A connection that a port accepted. */
export interface AcceptedStream extends ByteStream {
  /** abort(), and a connection that still lingers after close() is gone too. */
  terminate(reason: LinkSocksError): void
}

export interface InboundPortOptions {
  /** Asked at each connection. */
  readonly credentials: () => Credentials | undefined
  readonly dialer: Dialer
  readonly bindDatagrams: BindDatagrams
  readonly clock: Clock
  readonly log: Logger
  /** Called when a client gave a wrong user name or password. @returns how it is to be answered. @default at once */
  readonly unauthorized?: ((address: string) => Verdict) | undefined
  /** What is served. @default all */
  readonly protocols?: readonly ProxyProtocol[] | undefined
  /** @default HTTP is refused */
  readonly serveHttp?: ServeHttp | undefined
  /** Clients at a time whose request is still to come. @default 1_024 */
  readonly maxPending?: number | undefined
  /** Milliseconds from the accepted connection to the whole request; then it is reset. @default 10_000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** Takes datagrams of an association from one port of its client alone. @default false */
  readonly udpStrictPort?: boolean | undefined
  /** UDP associations at a time. @default 1_024 */
  readonly maxAssociations?: number | undefined
  /** Shared by the ports of one server. @default nobody waits for what comes on this port */
  readonly departure?: Departure | undefined
}

/** What the connections of one port share: serves each, and bounds those without a request and all UDP associations. */
export class InboundPort {
  readonly #options: InboundPortOptions
  readonly #pending: PendingConnections
  readonly #associations: AssociationLimit
  readonly #bind: BindDatagrams = async (host) => {
    const bound = await this.#associations.take(() => this.#options.bindDatagrams(host))
    return Object.assign(bound, { address: bound.socket.address })
  }

  constructor(options: InboundPortOptions) {
    const { clock, log, maxPending, maxAssociations } = options
    const limited = limitedLog(log, () => clock.now())
    this.#options = options
    this.#pending = new PendingConnections(maxPending, (address) => limited.warn('socks.crowded', { address }))
    this.#associations = new AssociationLimit(maxAssociations)
  }

  /** Serves one connection, from its first byte until it is gone. */
  accept(stream: AcceptedStream, localAddress: () => LocalAddress, remoteAddress: SocketAddress): void {
    const {
      dialer,
      clock,
      log,
      credentials,
      unauthorized,
      protocols,
      serveHttp,
      handshakeTimeoutMs,
      udpStrictPort,
      departure,
    } = this.#options
    const { host } = remoteAddress
    const pending = this.#pending.add(host, () => stream.terminate(crowded()))
    departure?.expected.add(stream)
    const settled = (): void => {
      pending.settled()
      departure?.expected.delete(stream)
    }
    const served = serveInbound(stream, {
      dialer,
      clock,
      log,
      credentials: credentials(),
      unauthorized: unauthorized && (() => unauthorized(host)),
      protocols,
      serveHttp,
      handshakeTimeoutMs,
      udpStrictPort,
      bindDatagrams: this.#bind,
      localAddress,
      remoteAddress,
      departure,
      requested: settled,
    })
    void served.then(settled)
  }
}

function crowded(): LinkSocksError {
  return new LinkSocksError('ERR_LIMIT', 'too many clients that ask for nothing')
}
