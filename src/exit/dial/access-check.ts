import { canonicalIp, checkTarget, isIpv6 } from '../../address.js'
import { withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import type { Clock, DialOptions, Resolve, Target } from '../../ports.js'
import { CONNECT_TIMEOUT_MS } from '../../protocol/limits.js'
import { ACCESS_REFUSAL } from './access-rules.js'
import { Lookups } from './lookups.js'
import { notAllowed } from './not-allowed.js'
import type { AddressJudge } from './recent-refusals.js'

/**
 * The first of `hosts` that every list allows. IPv4 goes first: only one address is sent on, and what dials it may be without
 * IPv6.
 */
export function firstAllowed(
  hosts: readonly string[],
  port: number,
  lists: readonly AddressJudge[],
): string | undefined {
  const inOrder = [...hosts].sort((a, b) => Number(isIpv6(a)) - Number(isIpv6(b)))
  return inOrder.find((host) => lists.every((list) => list.allows({ host, port })))
}

/** Judges where something else dials: names are looked up here, and one allowed address goes on in their place. */
export class AccessCheck {
  readonly #clock: Clock
  readonly #lookups: Lookups

  constructor({ resolve, clock }: { readonly resolve: Resolve; readonly clock: Clock }) {
    this.#clock = clock
    this.#lookups = new Lookups({ resolve, clock })
  }

  /** As `Resolve`, within the bounds of {@link Lookups}. */
  readonly resolve = (host: string, options?: DialOptions): Promise<readonly string[]> =>
    this.#lookups.lookup(host, options)

  /**
   * `target` with an allowed address as its host.
   * @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED, also when a name can't be looked up within CONNECT_TIMEOUT_MS;
   *   ERR_DIAL_FAILED (port 0 or a broken host), ERR_CANCELLED
   */
  async allowed(target: Target, lists: readonly AddressJudge[], options: DialOptions = {}): Promise<Target> {
    checkTarget(target)
    const host = firstAllowed(await this.#addressesOf(target, options), target.port, lists)
    if (host === undefined) throw notAllowed(target, ACCESS_REFUSAL)
    return { host, port: target.port }
  }

  async #addressesOf(target: Target, { signal, source }: DialOptions): Promise<readonly string[]> {
    const { host } = target
    // no name has a colon: what is no address either (one with a zone, say) is in no list
    if (isIpv6(host) && canonicalIp(host) === undefined) return []
    try {
      return await withDeadline((deadline) => this.#lookups.lookup(host, { signal: deadline, source }), {
        clock: this.#clock,
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
        expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', 'it took too long'),
      })
    } catch (thrown) {
      if (signal?.aborted) throw LinkSocksError.cancelled(signal)
      const { message } = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      throw notAllowed(target, `its name can't be looked up where access is judged (${message})`)
    }
  }
}
