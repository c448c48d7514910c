import { addressText, canonicalIp, checkTarget, isIpv6 } from '../address.js'
import { withDeadline } from '../deadline.js'
import { LinkSocksError } from '../errors.js'
import { type Logger, remoteText, silentLogger } from '../log.js'
import type {
  BindDatagrams,
  ByteStream,
  Clock,
  ConnectTcp,
  DatagramSocket,
  Dialer,
  DialOptions,
  EgressPolicy,
  Resolve,
  SocketAddress,
  Target,
  TargetJudge,
} from '../ports.js'
import { CONNECT_TIMEOUT_MS } from '../protocol/limits.js'
import { Lookups } from './dial/lookups.js'
import { notAllowed } from './dial/not-allowed.js'
import { defaultEgressPolicy } from './dial/policy.js'
import { interleaveFamilies, raceConnect } from './dial/race.js'
import { UdpRelay } from './udp/udp-relay.js'

export interface DirectDialerOptions {
  readonly resolve: Resolve
  readonly connectTcp: ConnectTcp
  readonly bindDatagrams: BindDatagrams
  readonly clock: Clock
  /** @default silent */
  readonly log?: Logger | undefined
  /** Sees every address after name resolution. @default defaultEgressPolicy */
  readonly policy?: EgressPolicy | undefined
  /** Milliseconds without traffic after which a UDP relay closes. @default UDP_TIMEOUT_MS */
  readonly udpTimeoutMs?: number | undefined
}

/** Dials from this machine: name resolution, egress policy, RFC 8305 racing, all within CONNECT_TIMEOUT_MS. */
export class DirectDialer implements Dialer {
  readonly #options: DirectDialerOptions
  readonly #policy: EgressPolicy
  readonly #log: Logger
  readonly #lookups: Lookups

  constructor(options: DirectDialerOptions) {
    this.#options = options
    this.#policy = options.policy ?? defaultEgressPolicy
    this.#log = options.log ?? silentLogger
    this.#lookups = new Lookups(options)
  }

  /**
   * @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED when the policy refuses every address, ERR_DIAL_TIMEOUT after
   *   CONNECT_TIMEOUT_MS, ERR_DIAL_FAILED for port 0 or a broken host, else what resolver and sockets report; ERR_CANCELLED
   */
  async dial(target: Target, { signal, judge, reached }: DialOptions = {}): Promise<ByteStream> {
    checkTarget(target)
    const { connectTcp, clock } = this.#options
    const denied = judge?.asked(target, 'tcp')
    if (denied !== undefined && denied !== 'depends') throw notAllowed(target, denied)
    const { stream, address } = await withDeadline(
      async (deadline) => {
        const hosts = interleaveFamilies(await this.#resolve(target.host, deadline))
        const addresses = this.#allowed(
          target,
          hosts.map((host) => ({ host, port: target.port })),
          judge,
        )
        return raceConnect(addresses, { connectTcp, clock, signal: deadline })
      },
      {
        clock,
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
        expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', `connecting to ${addressText(target)} timed out`),
        discard: (late) => late.stream.abort(new LinkSocksError('ERR_CANCELLED', 'nobody waits for it any more')),
      },
    )
    reached?.(address)
    return stream
  }

  async associate({ signal, judge }: DialOptions = {}): Promise<DatagramSocket> {
    const { bindDatagrams, clock, udpTimeoutMs } = this.#options
    return UdpRelay.open(
      {
        bindDatagrams,
        resolve: (host, options) => this.#lookups.lookup(host, options),
        clock,
        log: this.#log,
        policy: this.#policy,
        judge,
        timeoutMs: udpTimeoutMs,
      },
      { signal },
    )
  }

  async #resolve(host: string, signal: AbortSignal): Promise<readonly string[]> {
    // no name has a colon: what is no address either (one with a zone, say) goes to the policy as it is
    if (isIpv6(host) && canonicalIp(host) === undefined) return [host]
    const addresses = await this.#lookups.lookup(host, { signal })
    if (addresses.length > 0) return addresses
    throw new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', `${remoteText(host)} has no address`)
  }

  #allowed(
    target: Target,
    addresses: readonly SocketAddress[],
    judge: TargetJudge | undefined,
  ): readonly SocketAddress[] {
    const refusals: string[] = []
    let denied: SocketAddress | undefined
    const allowed = addresses.filter((address) => {
      const own = this.#policy(address, 'tcp')
      const why = own ?? judge?.address(target.host, address, 'tcp')
      if (why === undefined) return true
      if (own === undefined) denied ??= address
      refusals.push(why)
      this.#log.debug('dial.refused', { target: addressText(target), address: addressText(address), reason: why })
      return false
    })
    if (allowed.length > 0) return allowed
    if (denied !== undefined) judge?.refused?.(target.host, denied, 'tcp')
    throw notAllowed(target, refusals[0] ?? '')
  }
}
