import { type Logger, silentLogger } from '../log.js'
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
} from '../ports.js'
import { AccessCheck } from './dial/access-check.js'
import { type AccessList, type AccessSource, listsOf } from './dial/access-rules.js'
import { notAllowed } from './dial/not-allowed.js'
import { DatagramGate } from './udp/datagram-gate.js'
import { GatedTotal } from './udp/gated-total.js'

export interface AccessDialerOptions {
  /** Dials what is allowed. */
  readonly dialer: Dialer
  /** An address has to be in each of the lists there are when a request, or a datagram of an association, comes. */
  readonly access: readonly AccessSource[]
  readonly resolve: Resolve
  readonly clock: Clock
  /** @default silent */
  readonly log?: Logger | undefined
}

/**
 * Lets through what access rules allow, before something else dials it. Without rules a name passes as it is; with them it is looked up
 * here and one allowed address goes on in its place, so that what was judged is what is dialled.
 */
export class AccessDialer implements Dialer {
  readonly #options: AccessDialerOptions
  readonly #check: AccessCheck
  readonly #total = new GatedTotal()

  constructor(options: AccessDialerOptions) {
    this.#options = options
    this.#check = new AccessCheck(options)
  }

  /** @throws {LinkSocksError} as AccessCheck.allowed(), and what the dialer throws */
  async dial(target: Target, options: DialOptions = {}): Promise<ByteStream> {
    const { dialer, access } = this.#options
    const lists = listsOf(access)
    if (lists.length === 0) return dialer.dial(target, options)
    // whoever dials gets an address, and could not judge by the name
    return dialer.dial(await this.#allowed(target, lists, options), { ...options, judge: undefined })
  }

  async #allowed(target: Target, lists: readonly AccessList[], options: DialOptions): Promise<Target> {
    const { judge } = options
    if (judge === undefined) return this.#check.allowed(target, lists, options)
    const why = judge.asked(target, 'tcp')
    if (why !== undefined && why !== 'depends') throw notAllowed(target, why)
    let denied: SocketAddress | undefined
    const allows = (address: SocketAddress): boolean => {
      if (judge.address(target.host, address, 'tcp') === undefined) return true
      denied ??= address
      return false
    }
    try {
      return await this.#check.allowed(target, [...lists, { allows }], options)
    } catch (thrown) {
      if (denied !== undefined) judge.refused?.(target.host, denied, 'tcp')
      throw thrown
    }
  }

  async associate(options: DialOptions = {}): Promise<DatagramSocket> {
    const { dialer, access, clock, log = silentLogger } = this.#options
    const socket = await dialer.associate({ ...options, judge: undefined })
    const { source } = options
    const resolve: Resolve = (host, waiting) => this.#check.resolve(host, { ...waiting, source })
    const pass = (data: Uint8Array, { port }: Target, host: string): void => socket.send(data, { host, port })
    const given = options.judge
    const judge = (asked: string, address: SocketAddress): boolean => {
      if (given?.address(asked, address, 'udp') === undefined) return true
      given.refused?.(asked, address, 'udp')
      return false
    }
    const more = { access, judge: given && judge, resolve, clock, log, total: this.#total, source, pass }
    return new GatedSocket(socket, new DatagramGate(more))
  }
}

/** A socket whose datagrams go through a gate, which passes on those that may go. */
class GatedSocket implements DatagramSocket {
  readonly #socket: DatagramSocket
  readonly #gate: DatagramGate

  constructor(socket: DatagramSocket, gate: DatagramGate) {
    this.#socket = socket
    this.#gate = gate
  }

  /** What waits or was refused never came to the socket. */
  get sentBytes(): number | undefined {
    return this.#socket.sentBytes
  }

  start(handler: DatagramHandler): void {
    this.#socket.start({
      datagram: (data, source) => handler.datagram(data, source),
      close: (error) => {
        this.#gate.close()
        handler.close(error)
      },
    })
  }

  send(data: Uint8Array, destination: Target): void {
    this.#gate.send(data, destination)
  }

  close(): void {
    this.#gate.close()
    this.#socket.close()
  }
}
