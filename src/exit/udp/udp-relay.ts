import { addressText, canonicalHost, canonicalIp, isIpv6, targetProblem } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { type Logger, silentLogger } from '../../log.js'
import { Lru } from '../../lru.js'
import type {
  AbortOptions,
  BindDatagrams,
  BoundDatagramSocket,
  Clock,
  DatagramHandler,
  DatagramSocket,
  EgressPolicy,
  Resolve,
  SocketAddress,
  Target,
  TargetJudge,
} from '../../ports.js'
import { MAX_DATAGRAM_BYTES } from '../../protocol/limits.js'
import { defaultEgressPolicy } from '../dial/policy.js'
import { IdleTimer } from './idle-timer.js'
import { UdpNames } from './udp-names.js'
import { WaitingDatagrams } from './waiting-datagrams.js'

/** An association on which nothing was sent or delivered for this long closes. */
export const UDP_TIMEOUT_MS = 300_000
/** Addresses an association has sent to and still takes replies from; the least recently used goes first. */
export const MAX_UDP_PEERS = 1_024

const ANY_IPV4 = '0.0.0.0'
const ANY_IPV6 = '::'

export interface UdpRelayOptions {
  readonly bindDatagrams: BindDatagrams
  readonly resolve: Resolve
  readonly clock: Clock
  /** @default silent */
  readonly log?: Logger | undefined
  /** Sees every address before the first datagram to it. @default defaultEgressPolicy */
  readonly policy?: EgressPolicy | undefined
  /** Asked about every datagram: what it says may change. @default everything is allowed */
  readonly judge?: TargetJudge | undefined
  /** Milliseconds. @default UDP_TIMEOUT_MS */
  readonly timeoutMs?: number | undefined
}

/** Why a datagram went no further. */
export type UdpDropReason =
  | 'oversize'
  | 'badDestination'
  | 'queueFull'
  | 'tooManyNames'
  | 'unresolved'
  | 'refused'
  | 'noIpv6'
  | 'unsolicited'

/**
 * A UDP relay to any number of destinations. Replies are delivered only from addresses already sent to. One socket for
 * IPv4, a second for IPv6 once it is needed; names are resolved here.
 */
export class UdpRelay implements DatagramSocket {
  readonly #options: UdpRelayOptions
  readonly #policy: EgressPolicy
  readonly #log: Logger
  readonly #ipv4: BoundDatagramSocket
  #ipv6: BoundDatagramSocket | 'unbound' | 'binding' | 'unavailable' = 'unbound'
  /** All that were bound. */
  readonly #sockets: BoundDatagramSocket[]
  readonly #names: UdpNames
  /** Keys of the addresses that were allowed and sent to. */
  readonly #peers = new Lru<string, true>(MAX_UDP_PEERS)
  readonly #waiting = new WaitingDatagrams()
  readonly #dropped = new Map<UdpDropReason, number>()
  readonly #idle: IdleTimer
  #handler: DatagramHandler | undefined
  #closed: { readonly error: LinkSocksError | undefined } | undefined
  #refusalLogged = false

  /**
   * Binds the IPv4 socket.
   * @throws {LinkSocksError} ERR_DIAL_FAILED when it can't be bound, ERR_CANCELLED
   */
  static async open(options: UdpRelayOptions, { signal }: AbortOptions = {}): Promise<UdpRelay> {
    if (signal?.aborted) throw LinkSocksError.cancelled(signal)
    const ipv4 = await bindUdp(options.bindDatagrams, ANY_IPV4)
    if (signal?.aborted) {
      ipv4.close()
      throw LinkSocksError.cancelled(signal)
    }
    return new UdpRelay(ipv4, options)
  }

  /** Takes `ipv4` over: it is started and closed with the relay. */
  constructor(ipv4: BoundDatagramSocket, options: UdpRelayOptions) {
    this.#ipv4 = ipv4
    this.#sockets = [ipv4]
    this.#options = options
    this.#policy = options.policy ?? defaultEgressPolicy
    this.#log = options.log ?? silentLogger
    this.#names = new UdpNames(options.resolve, options.clock)
    this.#idle = new IdleTimer(options.clock, options.timeoutMs ?? UDP_TIMEOUT_MS, () => this.close())
  }

  /** Datagrams dropped so far, in both directions. */
  get dropped(): Readonly<Partial<Record<UdpDropReason, number>>> {
    return Object.fromEntries(this.#dropped)
  }

  get sentBytes(): number {
    return this.#sockets.reduce((sum, { sentBytes }) => sum + sentBytes, 0)
  }

  /** Peers, names and datagrams held at the moment. */
  get held(): number {
    return this.#peers.size + this.#names.size + this.#waiting.size
  }

  start(handler: DatagramHandler): void {
    this.#handler = handler
    if (this.#closed !== undefined) return handler.close(this.#closed.error)
    this.#ipv4.start(this.#into(handler, (error) => this.#finish(error)))
    if (typeof this.#ipv6 === 'object') this.#startIpv6(this.#ipv6, handler)
  }

  send(data: Uint8Array, destination: Target): void {
    if (this.#closed !== undefined) return
    if (data.byteLength > MAX_DATAGRAM_BYTES) return this.#drop('oversize')
    if (targetProblem(destination) !== undefined) return this.#drop('badDestination')
    if (!this.#mayAsk(destination)) return this.#drop('refused')
    this.#idle.touch()
    this.#route(data, destination)
  }

  close(): void {
    this.#finish(undefined)
  }

  #finish(error: LinkSocksError | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed = { error }
    this.#idle.cancel()
    this.#names.close()
    this.#waiting.clear()
    this.#peers.clear()
    this.#ipv4.close()
    if (typeof this.#ipv6 === 'object') this.#ipv6.close()
    this.#log.debug('udp.closed', { ...this.dropped, error: error?.message })
    this.#handler?.close(error)
  }

  /** Sends `data`, or lets it wait for a name or a socket. */
  #route(data: Uint8Array, destination: Target): void {
    const ip = canonicalIp(destination.host)
    if (ip !== undefined) return this.#sendToFirst([ip], data, destination)
    const name = destination.host.toLowerCase()
    const addresses = this.#names.known(name)
    if (addresses !== undefined) return this.#sendToFirst(ipv4LoopbackFirst(addresses), data, destination)
    if (!this.#names.ask(name, () => this.#release(name))) return this.#drop('tooManyNames')
    this.#wait(name, data, destination)
  }

  /** Sends to the first of `hosts` that the policy allows and a socket reaches. */
  #sendToFirst(hosts: readonly string[], data: Uint8Array, destination: Target): void {
    let why: UdpDropReason = 'unresolved'
    for (const host of hosts) {
      const address = { host, port: destination.port }
      if (isIpv6(host) && this.#ipv6 === 'unavailable') why = 'noIpv6'
      else if (this.#allows(address, destination.host)) return this.#sendTo(address, data, destination)
      else why = 'refused'
    }
    if (why === 'refused') this.#tellJudge(hosts, destination)
    this.#drop(why)
  }

  #sendTo(address: SocketAddress, data: Uint8Array, destination: Target): void {
    if (!isIpv6(address.host)) {
      this.#peers.set(keyOf(address), true)
      return this.#ipv4.send(data, address)
    }
    if (typeof this.#ipv6 === 'object') {
      this.#peers.set(keyOf(address), true)
      return this.#ipv6.send(data, address)
    }
    // as asked for: without IPv6 another address of the name may do
    this.#wait(ANY_IPV6, data, destination)
    if (this.#ipv6 === 'unbound') void this.#bindIpv6()
  }

  #mayAsk(destination: Target): boolean {
    const why = this.#options.judge?.asked(destination, 'udp')
    if (why === undefined || why === 'depends') return true
    this.#logRefusal(destination, why)
    return false
  }

  #allows(address: SocketAddress, asked: string): boolean {
    const known = this.#peers.touch(keyOf(address)) !== undefined
    const why =
      (known ? undefined : this.#policy(address, 'udp')) ?? this.#options.judge?.address(asked, address, 'udp')
    if (why === undefined) return true
    this.#logRefusal(address, why)
    return false
  }

  #tellJudge(hosts: readonly string[], { host: asked, port }: Target): void {
    const { judge } = this.#options
    const denied = hosts.find((host) => judge?.address(asked, { host, port }, 'udp') !== undefined)
    if (denied !== undefined) judge?.refused?.(asked, { host: denied, port }, 'udp')
  }

  #logRefusal(address: SocketAddress | Target, why: string): void {
    if (!this.#refusalLogged) {
      this.#refusalLogged = true
      this.#log.info('udp.refused', { address: addressText(address), reason: why })
    }
  }

  #wait(key: string, data: Uint8Array, destination: Target): void {
    const dropped = this.#waiting.push(key, data, destination)
    if (dropped > 0) this.#drop('queueFull', dropped)
  }

  #release(key: string): void {
    for (const { data, destination } of this.#waiting.take(key)) this.#route(data, destination)
  }

  async #bindIpv6(): Promise<void> {
    this.#ipv6 = 'binding'
    let socket: BoundDatagramSocket | undefined
    try {
      socket = await this.#options.bindDatagrams(ANY_IPV6)
    } catch (thrown) {
      this.#log.debug('udp.no_ipv6', { error: LinkSocksError.from(thrown, 'ERR_DIAL_FAILED').message })
    }
    if (this.#closed !== undefined) return socket?.close()
    this.#ipv6 = socket ?? 'unavailable'
    if (socket !== undefined) this.#sockets.push(socket)
    if (socket !== undefined && this.#handler !== undefined) this.#startIpv6(socket, this.#handler)
    this.#release(ANY_IPV6)
  }

  #startIpv6(socket: BoundDatagramSocket, handler: DatagramHandler): void {
    const onClose = (): void => {
      if (this.#ipv6 === socket) this.#ipv6 = 'unavailable'
    }
    socket.start(this.#into(handler, onClose))
  }

  #into(handler: DatagramHandler, onClose: (error?: LinkSocksError) => void): DatagramHandler {
    return {
      datagram: (data, source) => {
        if (this.#closed !== undefined) return
        const host = isIpv6(source.host) ? canonicalHost(source.host) : source.host
        const address = { host, port: source.port }
        if (this.#peers.touch(keyOf(address)) === undefined) return this.#drop('unsolicited')
        this.#idle.touch()
        handler.datagram(data, address)
      },
      close: onClose,
    }
  }

  #drop(reason: UdpDropReason, count = 1): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + count)
  }
}

/** @throws {LinkSocksError} ERR_DIAL_FAILED */
export async function bindUdp(bindDatagrams: BindDatagrams, host: string): Promise<BoundDatagramSocket> {
  try {
    return await bindDatagrams(host)
  } catch (cause) {
    const { message } = LinkSocksError.from(cause, 'ERR_DIAL_FAILED')
    throw new LinkSocksError('ERR_DIAL_FAILED', `no UDP socket: ${message}`, { cause })
  }
}

function keyOf({ host, port }: SocketAddress): string {
  return `${host} ${port}`
}

/**
 * The resolver's order, but 127.0.0.1 before ::1: many local services listen on IPv4 only and with UDP nothing tells
 * that the other family would have been the right one.
 */
function ipv4LoopbackFirst(hosts: readonly string[]): readonly string[] {
  if (hosts[0] !== '::1') return hosts
  return [...hosts].sort((a, b) => Number(isIpv6(a)) - Number(isIpv6(b)))
}
