import { isIpv6 } from '../../address.js'
import { type ErrorCode, LinkSocksError } from '../../errors.js'
import type { AbortOptions, Clock, SocketAddress, Timer } from '../../ports.js'

/** How long an attempt has to itself before the next one begins (RFC 8305 section 5). */
export const ATTEMPT_DELAY_MS = 250
/** Addresses of one destination that are tried. */
export const MAX_ATTEMPTS = 8

/** What can be won; the losers are aborted. */
export interface Abortable {
  abort(reason: LinkSocksError): void
}

export interface RaceOptions<T extends Abortable> {
  /** As ConnectTcp. */
  readonly connectTcp: (address: SocketAddress, options: AbortOptions) => Promise<T>
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

export interface Connected<T extends Abortable> {
  readonly stream: T
  /** The address that answered first. */
  readonly address: SocketAddress
}

/** Alternates address families, beginning with the family of the first (RFC 8305 section 4); order within a family stays. */
export function interleaveFamilies(hosts: readonly string[]): readonly string[] {
  const [first] = hosts
  if (first === undefined || hosts.length === 1) return hosts
  const leading = hosts.filter((host) => isIpv6(host) === isIpv6(first))
  const other = hosts.filter((host) => isIpv6(host) !== isIpv6(first))
  return Array.from({ length: Math.max(leading.length, other.length) }).flatMap((_, at) =>
    [leading[at], other[at]].filter((host) => host !== undefined),
  )
}

/**
 * Connects to whichever of `addresses` answers first (RFC 8305 section 5): one after the other, the next
 * {@link ATTEMPT_DELAY_MS} after the last or as soon as one fails, while earlier attempts go on. The losers are
 * aborted. At most {@link MAX_ATTEMPTS} are tried.
 * @throws {LinkSocksError} what {@link mostTelling} picks once all failed; ERR_CANCELLED or the signal's reason
 */
export function raceConnect<T extends Abortable>(
  addresses: readonly SocketAddress[],
  options: RaceOptions<T>,
): Promise<Connected<T>> {
  const [only] = addresses
  if (only !== undefined && addresses.length === 1) return connectOnly(only, options)
  return new Promise((resolve, reject) => {
    new Race(addresses.slice(0, MAX_ATTEMPTS), options, resolve, reject).begin()
  })
}

/** No race with one address, which is what nearly all connections have: this is the shortest way. */
function connectOnly<T extends Abortable>(
  address: SocketAddress,
  { connectTcp, signal }: RaceOptions<T>,
): Promise<Connected<T>> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(LinkSocksError.cancelled(signal))
    let waiting = true
    const settle = (): void => {
      waiting = false
      signal?.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      settle()
      if (signal !== undefined) reject(LinkSocksError.cancelled(signal))
    }
    signal?.addEventListener('abort', onAbort)
    const connect = async (): Promise<T> => connectTcp(address, { signal })
    connect().then(
      (stream) => {
        if (!waiting) return stream.abort(new LinkSocksError('ERR_CANCELLED', 'nobody waits for it any more'))
        settle()
        resolve({ stream, address })
      },
      (thrown: unknown) => {
        settle()
        reject(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
      },
    )
  })
}

/** From what says most about the destination to what may just be this machine lacking a family. */
const TELLING: readonly ErrorCode[] = ['ERR_DIAL_REFUSED', 'ERR_DIAL_TIMEOUT', 'ERR_DIAL_HOST_UNREACHABLE']

/**
 * The error that stands for all attempts: refused (something answered) before timed out (something may be there)
 * before host unreachable, then any other failure, and network unreachable last, which every machine without IPv6
 * reports. Among equals the first.
 */
export function mostTelling(errors: readonly LinkSocksError[]): LinkSocksError {
  const rank = ({ code }: LinkSocksError): number => {
    if (code === 'ERR_DIAL_NETWORK_UNREACHABLE') return TELLING.length + 1
    const at = TELLING.indexOf(code)
    return at < 0 ? TELLING.length : at
  }
  const none = new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'there is no address to connect to')
  return errors.reduce((best, error) => (rank(error) < rank(best) ? error : best), errors[0] ?? none)
}

class Race<T extends Abortable> {
  readonly #addresses: readonly SocketAddress[]
  readonly #options: RaceOptions<T>
  readonly #resolve: (connected: Connected<T>) => void
  readonly #reject: (error: LinkSocksError) => void
  /** The attempts still under way. */
  readonly #attempts = new Set<AbortController>()
  readonly #errors: LinkSocksError[] = []
  #begun = 0
  #settled = false
  #timer: Timer | undefined

  constructor(
    addresses: readonly SocketAddress[],
    options: RaceOptions<T>,
    resolve: (connected: Connected<T>) => void,
    reject: (error: LinkSocksError) => void,
  ) {
    this.#addresses = addresses
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal } = this.#options
    if (signal?.aborted) return this.#onAbort()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (this.#addresses.length === 0) return this.#fail(mostTelling([]))
    this.#attemptNext()
  }

  #attemptNext(): void {
    this.#timer?.cancel()
    const address = this.#addresses[this.#begun]
    if (address === undefined) return
    this.#begun += 1
    if (this.#begun < this.#addresses.length) {
      this.#timer = this.#options.clock.after(ATTEMPT_DELAY_MS, () => this.#attemptNext())
    }
    void this.#attempt(address)
  }

  async #attempt(address: SocketAddress): Promise<void> {
    const attempt = new AbortController()
    this.#attempts.add(attempt)
    try {
      const stream = await this.#options.connectTcp(address, { signal: attempt.signal })
      this.#attempts.delete(attempt)
      this.#onConnected({ stream, address })
    } catch (thrown) {
      this.#attempts.delete(attempt)
      this.#onFailed(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
    }
  }

  #onConnected(connected: Connected<T>): void {
    if (this.#settled) return connected.stream.abort(beaten())
    this.#settle(beaten)
    this.#resolve(connected)
  }

  #onFailed(error: LinkSocksError): void {
    if (this.#settled) return
    this.#errors.push(error)
    if (this.#errors.length === this.#addresses.length) return this.#fail(mostTelling(this.#errors))
    this.#attemptNext()
  }

  readonly #onAbort = (): void => {
    const { signal } = this.#options
    if (signal === undefined) return
    const reason = LinkSocksError.cancelled(signal)
    // at the deadline an address that refused says more than those that stayed silent
    this.#fail(reason.code === 'ERR_DIAL_TIMEOUT' ? mostTelling([...this.#errors, reason]) : reason)
  }

  #fail(error: LinkSocksError): void {
    this.#settle(() => error)
    this.#reject(error)
  }

  /** @param reason made for those still under way: an error costs much, and mostly there is none of them */
  #settle(reason: () => LinkSocksError): void {
    this.#settled = true
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    for (const attempt of this.#attempts) attempt.abort(reason())
    this.#attempts.clear()
  }
}

function beaten(): LinkSocksError {
  return new LinkSocksError('ERR_CANCELLED', 'another address answered first')
}
