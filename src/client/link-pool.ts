import { LinkSocksError } from '../errors.js'
import type { Session } from '../mux/session.js'
import type { AbortOptions, Clock, Dialer } from '../ports.js'

/** How long a request waits for a link, while none is up. */
export const LINK_WAIT_MS = 10_000
/** Requests that may wait for a link. */
export const MAX_WAITING_FOR_LINK = 4_096
/** Links tried for one request when link after link is lost under it. */
const MAX_ATTEMPTS = 4

interface PooledLink {
  readonly session: Session
  readonly dialer: Dialer
}

interface Waiter {
  resolve(link: PooledLink): void
  reject(error: LinkSocksError): void
}

/** A client's living links, used in turn. */
export class LinkPool {
  readonly #clock: Clock
  readonly #links: PooledLink[] = []
  readonly #waiters = new Set<Waiter>()
  #turn = 0
  #closed: LinkSocksError | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#links.length
  }

  add(session: Session, dialer: Dialer): void {
    if (!session.available) return
    const link = { session, dialer }
    this.#links.push(link)
    for (const waiter of [...this.#waiters]) waiter.resolve(link)
  }

  remove(session: Session): void {
    const index = this.#links.findIndex((link) => link.session === session)
    if (index >= 0) this.#links.splice(index, 1)
  }

  /** Every wait ends with `reason`, now and from now on. Idempotent. */
  close(reason: LinkSocksError): void {
    this.#closed ??= reason
    for (const waiter of [...this.#waiters]) waiter.reject(reason)
  }

  /**
   * Settles as soon as a link is up, however long that takes.
   * @throws {LinkSocksError} what `close()` was given
   */
  async first(): Promise<void> {
    if (this.#links.length === 0) await this.#wait(undefined, undefined)
  }

  /**
   * Opens something through the next link in turn, waiting for one up to {@link LINK_WAIT_MS}.
   * @throws {LinkSocksError} ERR_DIAL_NETWORK_UNREACHABLE (no link), ERR_LIMIT, ERR_CANCELLED, what `close()` was given,
   *   what `open` throws
   */
  async withLink<T>(open: (dialer: Dialer) => Promise<T>, { signal }: AbortOptions = {}): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const link = this.#pick() ?? (await this.#wait(LINK_WAIT_MS, signal))
      try {
        return await open(link.dialer)
      } catch (thrown) {
        const lost = thrown instanceof LinkSocksError && !link.session.available
        if (!lost || attempt >= MAX_ATTEMPTS || signal?.aborted === true) throw thrown
      }
    }
  }

  #pick(): PooledLink | undefined {
    this.#turn = this.#links.length === 0 ? 0 : (this.#turn + 1) % this.#links.length
    return this.#links[this.#turn]
  }

  #wait(waitMs: number | undefined, signal: AbortSignal | undefined): Promise<PooledLink> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (signal?.aborted === true) return Promise.reject(LinkSocksError.cancelled(signal))
    if (waitMs !== undefined && this.#waiters.size >= MAX_WAITING_FOR_LINK) {
      return Promise.reject(new LinkSocksError('ERR_LIMIT', 'too many requests wait for the link to the server'))
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiters.delete(waiter)
        timer?.cancel()
        signal?.removeEventListener('abort', cancel)
      }
      const fail = (error: LinkSocksError): void => {
        settle()
        reject(error)
      }
      const cancel = (): void => fail(LinkSocksError.cancelled(signal as AbortSignal))
      const waiter: Waiter = {
        resolve: (link) => {
          settle()
          resolve(link)
        },
        reject: fail,
      }
      const timer =
        waitMs === undefined
          ? undefined
          : this.#clock.after(waitMs, () =>
              fail(new LinkSocksError('ERR_DIAL_NETWORK_UNREACHABLE', 'no link to the server')),
            )
      signal?.addEventListener('abort', cancel)
      this.#waiters.add(waiter)
    })
  }
}
