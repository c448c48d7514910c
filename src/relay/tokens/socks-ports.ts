import { LinkSocksError } from '../../errors.js'
import { AccessDialer } from '../../exit/access-dialer.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import type { Departure } from '../../inbound/departure.js'
import { PROXY_PROTOCOLS } from '../../inbound/serve-inbound.js'
import type { Logger } from '../../log.js'
import type { Clock, ProxyProtocol, Resolve, Timer } from '../../ports.js'
import type { Alarms } from '../observe/alarms.js'
import type { Streams } from '../observe/streams.js'
import { trafficOf } from '../policies/policed-token.js'
import type { PolicyGate } from '../policies/policy-gate.js'
import { PolicedDialer } from '../reverse/policed-dialer.js'
import { ReverseDialer } from '../reverse/reverse-dialer.js'
import { type OpenSocksPort, ReversePort } from '../reverse/reverse-port.js'
import { Shaping } from '../traffic/shaping.js'
import { ShapingDialer } from '../traffic/shaping-dialer.js'
import type { NamedPorts } from './dormant-tokens.js'
import type { HandedPorts } from './handed-ports.js'
import type { ServerAccess } from './server-access.js'
import { policedOf, type ReverseToken, type TokenTable } from './tokens.js'

export interface SocksPortsOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly openPort: OpenSocksPort
  /** Shared by all of them. @default nobody waits for what comes on a port */
  readonly departure?: Departure | undefined
  /** Both ends included. */
  readonly portRange: readonly [number, number]
  /** What the ports serve. @default all */
  readonly proxyProtocols?: readonly ProxyProtocol[] | undefined
  readonly fastOpen: boolean
  /** For names that access rules are to judge. */
  readonly resolve: Resolve
  readonly access: ServerAccess
  readonly streams: Streams
  readonly gate: PolicyGate
  /** Where a port that cannot be opened is told of. */
  readonly alarms: Alarms
  /** Asked when the first token comes. @default the relay was handed no sockets */
  readonly handedPorts?: (() => HandedPorts | undefined) | undefined
}

/** How long, from the start on, connections to a port that was handed over wait for the first provider of its token. */
export const HANDED_WAIT_MS = 10_000

const NO_PORTS: ReadonlySet<number> = new Set()

/** Gives reverse tokens their proxy ports. */
export class SocksPorts {
  readonly #tokens: TokenTable
  readonly #options: SocksPortsOptions
  readonly #protocols: readonly ProxyProtocol[]
  #wait: Timer | undefined
  /** Connections to ports that were handed over are not left to wait any more. */
  #waited = false
  #released = false

  constructor(tokens: TokenTable, options: SocksPortsOptions) {
    const { proxyProtocols = PROXY_PROTOCOLS } = options
    this.#tokens = tokens
    this.#options = options
    this.#protocols = PROXY_PROTOCOLS.filter((protocol) => proxyProtocols.includes(protocol))
  }

  /** The tokens of the start are there: from here on {@link HANDED_WAIT_MS} count. */
  start(): void {
    if (this.#released || this.#options.handedPorts?.() === undefined) return
    this.#wait = this.#options.clock.after(HANDED_WAIT_MS, () => this.#endWait())
  }

  /** Whether a port opens with its token, for connections to it come in anyway. */
  opensAtOnce({ port }: ReversePort): boolean {
    return this.#waited && this.#isHanded(port)
  }

  /** Gives up the sockets that were handed over, for good. */
  release(): void {
    this.#released = true
    this.#wait?.cancel()
    this.#options.handedPorts?.()?.release()
  }

  /** A port for `token` that is not tried out before it is wanted. */
  create(token: ReverseToken, port: number): ReversePort {
    const { openPort, departure, clock, log, fastOpen, streams, resolve, access, gate } = this.#options
    const tokens = policedOf(token)
    const providers = new ReverseDialer(token.providers, { fastOpen, streams, tokenId: token.id, tokens })
    const rules = (): AccessList | undefined => token.traits.access ?? access.entry()
    const judged = new AccessDialer({ dialer: providers, access: [rules], resolve, clock, log })
    const policed = new PolicedDialer({ token, providers: token.providers, rules, gate, streams, dialer: judged })
    const dialer = new ShapingDialer(policed, new Shaping(clock, trafficOf(tokens)))
    return new ReversePort({
      port,
      credentials: () => token.traits.credentials,
      dialer,
      protocols: this.#protocols,
      departure,
      openPort,
      clock,
      log,
      changed: (error) => this.#portChanged(token.id, port, error),
    })
  }

  /**
   * The port asked for, or the lowest free one of the range, proven to be free.
   * @param named ports of sleeping tokens: only who asks for exactly this one gets what is `wanted` there, and what is `idle`
   *   there is given to a token that is stored itself when nothing else is left: one day both may be restored
   * @throws {LinkSocksError} ERR_PORT_UNAVAILABLE
   */
  async allocate(token: ReverseToken, port: number | undefined, named: NamedPorts): Promise<ReversePort> {
    const taken = this.#taken()
    const last = token.source === 'api' ? named.idle : NO_PORTS
    let failure = new LinkSocksError('ERR_PORT_UNAVAILABLE', 'port not available')
    for (const each of port === undefined ? this.#inRange(named.wanted, last) : [port]) {
      if (taken.has(each)) continue
      const candidate = this.create(token, each)
      try {
        if (!this.#isTakenOver(token, port) && !this.#isHanded(each)) await candidate.prove()
        return candidate
      } catch (thrown) {
        failure = LinkSocksError.from(thrown, 'ERR_PORT_UNAVAILABLE')
      }
    }
    throw failure
  }

  /** The ports of the range in the order in which they are tried: those of `last` at the end, and `without` some. */
  *#inRange(without: ReadonlySet<number>, last: ReadonlySet<number>): Iterable<number> {
    const [first, end] = this.#options.portRange
    for (const turn of [false, true]) {
      for (let port = first; port <= end; port += 1) {
        if (!without.has(port) && last.has(port) === turn) yield port
      }
    }
  }

  #isHanded(port: number): boolean {
    return this.#options.handedPorts?.()?.ports.has(port) === true
  }

  /** Whether the server before this one may have the port still: it is going to be opened, and tried again, when it is wanted. */
  #isTakenOver({ source }: ReverseToken, asked: number | undefined): boolean {
    return asked !== undefined && source === 'command-line' && this.#options.handedPorts?.() !== undefined
  }

  /** What comes in is answered from here on, also where no provider has come. */
  #endWait(): void {
    this.#waited = true
    const handed = this.#options.handedPorts?.()
    for (const number of handed?.ports ?? []) {
      const token = [...this.#tokens.all()].find((each) => each.type === 'reverse' && each.port?.port === number)
      const port = token?.type === 'reverse' ? token.port : undefined
      if (port === undefined) {
        const reason = 'no token has the port of this socket: connections to it are ended at once'
        this.#options.log.warn('socks.unused', { port: number, reason })
      }
      if (port === undefined || port.closed) handed?.refuse(number)
      else void port.open()
    }
  }

  /** @param error why it could not be opened; without one it could be */
  #portChanged(id: string, port: number, error: string | undefined): void {
    const { alarms } = this.#options
    if (error === undefined) alarms.clear('port-unavailable', id)
    else alarms.raise('port-unavailable', id, `the proxy port ${port} cannot be opened: ${error}`)
  }

  #taken(): Set<number> {
    const ports = [...this.#tokens.all()].map((token) => (token.type === 'reverse' ? token.port?.port : undefined))
    return new Set(ports.filter((port) => port !== undefined))
  }
}
