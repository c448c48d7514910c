import { addressText } from '../address.js'
import { withDeadline } from '../deadline.js'
import { LinkSocksError } from '../errors.js'
import type {
  ByteStream,
  Clock,
  DatagramHandler,
  DatagramSocket,
  Dialer,
  DialOptions,
  Resolve,
  SocketAddress,
  Target,
  TargetJudge,
} from '../ports.js'
import { CONNECT_TIMEOUT_MS } from '../protocol/limits.js'
import { firstAllowed } from './dial/access-check.js'
import { Lookups } from './dial/lookups.js'
import { notAllowed } from './dial/not-allowed.js'

export interface JudgingDialerOptions {
  /** Dials what is allowed, and looks names up somewhere else. */
  readonly dialer: Dialer
  readonly resolve: Resolve
  readonly clock: Clock
}

/**
 * Asks the judge of a request before something else dials that looks names up itself. Where the addresses of a name decide it is looked up
 * here, and an allowed one goes on in its place. Datagrams to such names are dropped.
 */
export class JudgingDialer implements Dialer {
  readonly #options: JudgingDialerOptions
  readonly #lookups: Lookups

  constructor(options: JudgingDialerOptions) {
    this.#options = options
    this.#lookups = new Lookups(options)
  }

  /** @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, what the look-up of a name throws, and what the dialer throws */
  async dial(target: Target, options: DialOptions = {}): Promise<ByteStream> {
    const { dialer } = this.#options
    const { judge, ...rest } = options
    const why = judge?.asked(target, 'tcp')
    if (judge === undefined || why === undefined) return dialer.dial(target, rest)
    if (why !== 'depends') throw notAllowed(target, why)
    const address = await this.#allowed(target, judge, options)
    const stream = await dialer.dial(address, rest)
    // what dials it may not know where it leads: a policy that changes is judged by this address
    options.reached?.(address)
    return stream
  }

  async associate({ judge, ...rest }: DialOptions = {}): Promise<DatagramSocket> {
    const socket = await this.#options.dialer.associate(rest)
    return judge === undefined ? socket : new JudgedSocket(socket, (target) => judge.asked(target, 'udp') === undefined)
  }

  async #allowed(target: Target, judge: TargetJudge, { signal, source }: DialOptions): Promise<SocketAddress> {
    const { clock } = this.#options
    const hosts = await withDeadline((deadline) => this.#lookups.lookup(target.host, { signal: deadline, source }), {
      clock,
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal,
      expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', `looking ${addressText(target)} up timed out`),
    })
    let why = 'its name has no address'
    let denied: SocketAddress | undefined
    const allows = (address: SocketAddress): boolean => {
      const problem = judge.address(target.host, address, 'tcp')
      if (problem === undefined) return true
      why = problem
      denied ??= address
      return false
    }
    const host = firstAllowed(hosts, target.port, [{ allows }])
    if (host !== undefined) return { host, port: target.port }
    if (denied !== undefined) judge.refused?.(target.host, denied, 'tcp')
    throw notAllowed(target, why)
  }
}

/** A socket that drops what may not be sent. */
export class JudgedSocket implements DatagramSocket {
  readonly #socket: DatagramSocket
  readonly #allows: (target: Target) => boolean

  /** @param allows asked about every datagram: what it says may change */
  constructor(socket: DatagramSocket, allows: (target: Target) => boolean) {
    this.#socket = socket
    this.#allows = allows
  }

  /** What was refused never came to the socket. */
  get sentBytes(): number | undefined {
    return this.#socket.sentBytes
  }

  start(handler: DatagramHandler): void {
    this.#socket.start(handler)
  }

  send(data: Uint8Array, destination: Target): void {
    if (this.#allows(destination)) this.#socket.send(data, destination)
  }

  close(): void {
    this.#socket.close()
  }
}
