import { addressText, canonicalIp, isIpv6, targetProblem } from '../../address.js'
import type { Logger } from '../../log.js'
import { Lru } from '../../lru.js'
import type { Clock, Resolve, SocketAddress, Target } from '../../ports.js'
import { firstAllowed } from '../dial/access-check.js'
import { ACCESS_REFUSAL, type AccessList, type AccessSource, listsOf } from '../dial/access-rules.js'
import { RecentRefusals } from '../dial/recent-refusals.js'
import type { GatedTotal } from './gated-total.js'
import { UdpNames } from './udp-names.js'
import { MAX_UDP_PEERS } from './udp-relay.js'
import { WaitingDatagrams } from './waiting-datagrams.js'

export interface DatagramGateOptions {
  /** Asked at each datagram; an address has to be in each of the lists. */
  readonly access: readonly AccessSource[]
  /** Judges each address that a destination leads to as well, and may say something else each time. @default all are allowed */
  readonly judge?: ((asked: string, address: SocketAddress) => boolean) | undefined
  readonly resolve: Resolve
  readonly clock: Clock
  readonly log: Logger
  /** Of one link or SOCKS port. */
  readonly total: GatedTotal
  /** What the association counts for there. @default the whole */
  readonly source?: string | undefined
  /** Takes what is allowed; `host` is the address it may go to. */
  readonly pass: (data: Uint8Array, destination: Target, host: string) => void
}

/**
 * Judges each datagram of one association on its way to where it is sent from: names are looked up here, and an allowed
 * address takes their place. What is refused is dropped. Nothing waits for a look-up but the datagrams that need it.
 */
export class DatagramGate {
  readonly #options: DatagramGateOptions
  readonly #names: UdpNames
  readonly #waiting = new WaitingDatagrams()
  /** What the sources gave, each at its place; the lists among them. */
  #seen: readonly (AccessList | undefined)[] = []
  #lists: readonly AccessList[] = []
  /** Addresses with their ports that were allowed, so that rules are gone through once for each. */
  readonly #allowed = new Lru<string, true>(MAX_UDP_PEERS)
  readonly #refusals = new RecentRefusals()
  readonly #judges = [{ allows: (address: SocketAddress) => this.#refusals.allows(address, this.#lists) }]
  #dropped = 0
  #refusalLogged = false
  #closed = false

  constructor(options: DatagramGateOptions) {
    this.#options = options
    this.#names = new UdpNames(options.resolve, options.clock)
  }

  /** Datagrams that were refused, or could not be judged. */
  get dropped(): number {
    return this.#dropped
  }

  /** Addresses, names and datagrams held at the moment. */
  get held(): number {
    return this.#allowed.size + this.#refusals.size + this.#names.size + this.#waiting.size
  }

  send(data: Uint8Array, destination: Target): void {
    if (this.#closed) return
    const judged = this.#current().length > 0 || this.#options.judge !== undefined
    if (!judged) return this.#options.pass(data, destination, destination.host)
    if (targetProblem(destination) !== undefined) return this.#drop()
    const ip = canonicalIp(destination.host)
    if (ip !== undefined) return this.#passTo([ip], data, destination)
    // no name has a colon: what is no address either (one with a zone, say) is in no list
    if (isIpv6(destination.host)) return this.#passTo([], data, destination)
    const name = destination.host.toLowerCase()
    const addresses = this.#names.known(name)
    if (addresses !== undefined) return this.#passTo(addresses, data, destination)
    if (!this.#names.ask(name, () => this.#release(name))) return this.#drop()
    this.#wait(name, data, destination)
  }

  /** Forgets what waits. Idempotent. */
  close(): void {
    this.#closed = true
    this.#names.close()
    this.#counted(() => this.#waiting.clear())
    this.#allowed.clear()
    this.#refusals.clear()
  }

  /** The lists that hold now. When they are others than before, nothing counts as allowed any more. */
  #current(): readonly AccessList[] {
    const { access } = this.#options
    if (access.every((source, at) => source() === this.#seen[at])) return this.#lists
    this.#allowed.clear()
    this.#seen = access.map((source) => source())
    this.#lists = listsOf(access)
    return this.#lists
  }

  #wait(name: string, data: Uint8Array, destination: Target): void {
    const { total, source } = this.#options
    if (!total.fits(data.byteLength, source)) return this.#drop()
    this.#drop(this.#counted(() => this.#waiting.push(name, data, destination)))
  }

  /** Brings what `change` does to the waiting datagrams into the total. */
  #counted<T>(change: () => T): T {
    const { total, source } = this.#options
    const before = this.#waiting.bytes
    const result = change()
    total.add(this.#waiting.bytes - before, source)
    return result
  }

  #release(name: string): void {
    const waiting = this.#counted(() => this.#waiting.take(name))
    this.#current()
    for (const { data, destination } of waiting) {
      if (this.#closed) return
      this.#passTo(this.#names.known(name) ?? [], data, destination)
    }
  }

  #passTo(found: readonly string[], data: Uint8Array, destination: Target): void {
    const { host: asked, port } = destination
    const { judge } = this.#options
    const hosts = judge === undefined ? found : found.filter((host) => judge(asked, { host, port }))
    const host = hosts.find((known) => this.#wasAllowed(known, destination.port)) ?? this.#judge(hosts, destination)
    if (host !== undefined) this.#options.pass(data, destination, host)
  }

  #wasAllowed(host: string, port: number): boolean {
    return this.#allowed.touch(keyOf(host, port)) !== undefined
  }

  #judge(hosts: readonly string[], destination: Target): string | undefined {
    const { log } = this.#options
    const host = firstAllowed(hosts, destination.port, this.#judges)
    if (host !== undefined) this.#allowed.set(keyOf(host, destination.port), true)
    else {
      this.#drop()
      if (!this.#refusalLogged) log.info('udp.refused', { address: addressText(destination), reason: ACCESS_REFUSAL })
      this.#refusalLogged = true
    }
    return host
  }

  #drop(count = 1): void {
    this.#dropped += count
  }
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`
}
