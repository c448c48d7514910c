import { LinkSocksError } from '../../errors.js'
import { AccessDialer } from '../../exit/access-dialer.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import { PROXY_PROTOCOLS } from '../../inbound/serve-inbound.js'
import type { Logger } from '../../log.js'
import type { Clock, ProxyProtocol, Resolve } from '../../ports.js'
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
import type { ServerAccess } from './server-access.js'
import { policedOf, type ReverseToken, type TokenTable } from './tokens.js'

export interface SocksPortsOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly openPort: OpenSocksPort
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
}

const NO_PORTS: ReadonlySet<number> = new Set()

/** Gives reverse tokens their proxy ports. */
export class SocksPorts {
  readonly #tokens: TokenTable
  readonly #options: SocksPortsOptions
  readonly #protocols: readonly ProxyProtocol[]

  constructor(tokens: TokenTable, options: SocksPortsOptions) {
    const { proxyProtocols = PROXY_PROTOCOLS } = options
    this.#tokens = tokens
    this.#options = options
    this.#protocols = PROXY_PROTOCOLS.filter((protocol) => proxyProtocols.includes(protocol))
  }

  /** A port for `token` that is not tried out before it is wanted. */
  create(token: ReverseToken, port: number): ReversePort {
    const { openPort, clock, log, fastOpen, streams, resolve, access, gate } = this.#options
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
        await candidate.prove()
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
