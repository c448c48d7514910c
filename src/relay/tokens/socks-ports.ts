import { LinkSocksError } from '../../errors.js'
import { AccessDialer } from '../../exit/access-dialer.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import { PROXY_PROTOCOLS } from '../../inbound/serve-inbound.js'
import type { Logger } from '../../log.js'
import type { Clock, ProxyProtocol, Resolve } from '../../ports.js'
import type { Alarms } from '../observe/alarms.js'
import type { Streams } from '../observe/streams.js'
import { ReverseDialer } from '../reverse/reverse-dialer.js'
import { type OpenSocksPort, ReversePort } from '../reverse/reverse-port.js'
import type { ServerAccess } from './server-access.js'
import type { ReverseToken, TokenTable } from './tokens.js'

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
  /** Where a port that cannot be opened is told of. */
  readonly alarms: Alarms
}

/** Gives reverse tokens their SOCKS ports. */
export class SocksPorts {
  readonly #tokens: TokenTable
  readonly #options: SocksPortsOptions
  readonly #protocols: readonly ProxyProtocol[]
  /** Ports of tokens that are still to be restored. */
  readonly #reserved = new Set<number>()

  constructor(tokens: TokenTable, options: SocksPortsOptions) {
    const { proxyProtocols = PROXY_PROTOCOLS } = options
    this.#tokens = tokens
    this.#options = options
    this.#protocols = PROXY_PROTOCOLS.filter((protocol) => proxyProtocols.includes(protocol))
  }

  /** Keeps `port` for whoever asks for exactly this one. */
  reserve(port: number): void {
    this.#reserved.add(port)
  }

  /** Whoever it was kept for does not want it any more. */
  release(port: number): void {
    this.#reserved.delete(port)
  }

  /** A port for `token` that is not tried out before it is wanted. */
  create(token: ReverseToken, port: number): ReversePort {
    const { openPort, clock, log, fastOpen, streams, resolve, access } = this.#options
    const providers = new ReverseDialer(token.providers, { fastOpen, streams, tokenId: token.id })
    const rules = (): AccessList | undefined => token.traits.access ?? access.entry()
    const dialer = new AccessDialer({ dialer: providers, access: [rules], resolve, clock, log })
    this.#reserved.delete(port)
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
   * @throws {LinkSocksError} ERR_PORT_UNAVAILABLE
   */
  async allocate(token: ReverseToken, wanted: number | undefined): Promise<ReversePort> {
    const taken = this.#taken()
    if (wanted === undefined) for (const port of this.#reserved) taken.add(port)
    const [first, last] = wanted === undefined ? this.#options.portRange : [wanted, wanted]
    for (let port = first; port <= last; port += 1) {
      if (taken.has(port)) continue
      const candidate = this.create(token, port)
      try {
        await candidate.prove()
        return candidate
      } catch (error) {
        if (port === last) throw error
      }
    }
    throw new LinkSocksError('ERR_PORT_UNAVAILABLE', 'port not available')
  }

  /** @param error why it could not be opened; without one it could be */
  #portChanged(id: string, port: number, error: string | undefined): void {
    const { alarms } = this.#options
    if (error === undefined) alarms.clear('port-unavailable', id)
    else alarms.raise('port-unavailable', id, `the SOCKS port ${port} cannot be opened: ${error}`)
  }

  #taken(): Set<number> {
    const ports = [...this.#tokens.all()].map((token) => (token.type === 'reverse' ? token.port?.port : undefined))
    return new Set(ports.filter((port) => port !== undefined))
  }
}
