import { addressText, canonicalHost, targetProblem } from '../../address.js'
import type { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type {
  BoundDatagramSocket,
  ByteStream,
  Clock,
  DatagramHandler,
  DatagramSocket,
  EgressPolicy,
  SocketAddress,
  Target,
} from '../../ports.js'
import { MAX_DATAGRAM_BYTES } from '../../protocol/limits.js'
import { decodeDatagram, encodeDatagram, type SocksDatagram } from '../../socks/datagram.js'
import { IdleTimer } from '../udp/idle-timer.js'
import { UDP_TIMEOUT_MS } from '../udp/udp-relay.js'
import { refusalOf } from './proxy-exchange.js'

export interface SocksProxyAssociationOptions {
  readonly socket: BoundDatagramSocket
  /** Where the proxy takes datagrams: the only address replies are taken from. */
  readonly relay: SocketAddress
  /** The connection the association was asked for on; it lives as long as that. */
  readonly control: ByteStream
  readonly clock: Clock
  readonly log: Logger
  readonly policy?: EgressPolicy | undefined
  /** Milliseconds. @default UDP_TIMEOUT_MS */
  readonly timeoutMs?: number | undefined
}

type DropReason = 'oversize' | 'badDestination' | 'refused' | 'unsolicited' | 'malformed' | 'fragment'

/**
 * The client's side of a UDP association with a SOCKS5 proxy (RFC 1928 section 7). Which destinations may answer is the
 * proxy's to enforce: a name is resolved there, its address not known here.
 */
export class SocksProxyAssociation implements DatagramSocket {
  readonly #options: SocksProxyAssociationOptions
  readonly #idle: IdleTimer
  readonly #dropped = new Map<DropReason, number>()
  #sentBytes = 0
  #handler: DatagramHandler | undefined
  #closed: { readonly error: LinkSocksError | undefined } | undefined
  #refusalLogged = false

  /** Takes socket and control connection over and starts the latter. */
  constructor(options: SocksProxyAssociationOptions) {
    this.#options = options
    this.#idle = new IdleTimer(options.clock, options.timeoutMs ?? UDP_TIMEOUT_MS, () => this.close())
    const { control } = options
    control.start({
      // nothing is defined to come here
      data: (chunk) => control.consume(chunk.byteLength),
      end: () => this.#finish(undefined),
      written: () => {},
      close: (error) => this.#finish(error),
    })
  }

  /** Datagrams dropped so far, in both directions. */
  get dropped(): Readonly<Partial<Record<DropReason, number>>> {
    return Object.fromEntries(this.#dropped)
  }

  /** Without the headers for the proxy. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  start(handler: DatagramHandler): void {
    this.#handler = handler
    if (this.#closed !== undefined) return handler.close(this.#closed.error)
    this.#options.socket.start({
      datagram: (data, source) => this.#receive(data, source, handler),
      close: (error) => this.#finish(error),
    })
  }

  send(data: Uint8Array, destination: Target): void {
    if (this.#closed !== undefined) return
    if (data.byteLength > MAX_DATAGRAM_BYTES) return this.#drop('oversize')
    if (targetProblem(destination) !== undefined) return this.#drop('badDestination')
    this.#idle.touch()
    const why = refusalOf(destination, this.#options.policy, 'udp')
    if (why !== undefined) return this.#refuse(destination, why)
    const wrapped = wrap(destination, data)
    if (wrapped === undefined) return this.#drop('badDestination')
    // the header counts too
    if (wrapped.byteLength > MAX_DATAGRAM_BYTES) return this.#drop('oversize')
    this.#sentBytes += data.byteLength
    this.#options.socket.send(wrapped, this.#options.relay)
  }

  close(): void {
    this.#finish(undefined)
  }

  #receive(data: Uint8Array, source: SocketAddress, handler: DatagramHandler): void {
    if (this.#closed !== undefined) return
    const { relay } = this.#options
    if (source.port !== relay.port || canonicalHost(source.host) !== relay.host) {
      return this.#drop('unsolicited')
    }
    const datagram = unwrap(data)
    if (datagram === undefined) return this.#drop('malformed')
    if (datagram.frag !== 0) return this.#drop('fragment')
    this.#idle.touch()
    // a proxy may write the name that it was asked for
    const { host, port } = datagram.address
    handler.datagram(datagram.data, { host: canonicalHost(host), port })
  }

  #refuse(destination: Target, reason: string): void {
    this.#drop('refused')
    if (this.#refusalLogged) return
    this.#refusalLogged = true
    this.#options.log.info('udp.refused', { address: addressText(destination), reason })
  }

  #finish(error: LinkSocksError | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { error }
    this.#idle.cancel()
    this.#options.socket.close()
    this.#options.control.close()
    this.#options.log.debug('udp.closed', { ...this.dropped, error: error?.message })
    this.#handler?.close(error)
  }

  #drop(reason: DropReason): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1)
  }
}

function wrap(destination: Target, data: Uint8Array): Uint8Array | undefined {
  try {
    return encodeDatagram(destination, data)
  } catch {
    return undefined
  }
}

function unwrap(data: Uint8Array): SocksDatagram | undefined {
  try {
    return decodeDatagram(data)
  } catch {
    return undefined
  }
}
