import { canonicalIp } from '../../address.js'
import { untilAborted, withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import type { AbortOptions, Clock, Resolve } from '../../ports.js'

/** Look-ups of one session running at a time: a quarter of the resolver threads that the command gives the process. */
export const MAX_RUNNING_LOOKUPS = 8
/** Names that wait for their turn, first come first served; one more fails at once. */
export const MAX_WAITING_LOOKUPS = 1_024
/** After this long a look-up is given up and its place taken by the next; longer than any dial waits. */
export const LOOKUP_TIMEOUT_MS = 30_000

export interface LookupsOptions {
  readonly resolve: Resolve
  readonly clock: Clock
  /** @default MAX_RUNNING_LOOKUPS */
  readonly maxRunning?: number | undefined
  /** @default MAX_WAITING_LOOKUPS */
  readonly maxWaiting?: number | undefined
}

interface Waiter {
  readonly resolve: (addresses: readonly string[]) => void
  readonly reject: (error: LinkSocksError) => void
}

/**
 * Name resolution with a bound on what runs and what waits. Callers asking for one name share its look-up. Most
 * resolvers can't be stopped, so a look-up that its callers have left keeps its place until it is really over.
 */
export class Lookups {
  readonly #resolve: Resolve
  readonly #clock: Clock
  readonly #maxRunning: number
  readonly #maxWaiting: number
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #queue: string[] = []
  #running = 0

  constructor({ resolve, clock, maxRunning = MAX_RUNNING_LOOKUPS, maxWaiting = MAX_WAITING_LOOKUPS }: LookupsOptions) {
    this.#resolve = resolve
    this.#clock = clock
    this.#maxRunning = maxRunning
    this.#maxWaiting = maxWaiting
  }

  /** Names being looked up or waiting for their turn. */
  get pending(): number {
    return this.#waiters.size
  }

  /**
   * As `Resolve`; IP text is its own answer and takes no place.
   * @throws {LinkSocksError} ERR_DIAL_FAILED when too many names wait, ERR_DIAL_TIMEOUT after LOOKUP_TIMEOUT_MS; else as `Resolve`
   */
  async lookup(host: string, { signal }: AbortOptions = {}): Promise<readonly string[]> {
    const ip = canonicalIp(host)
    if (ip !== undefined) return [ip]
    if (signal?.aborted) throw LinkSocksError.cancelled(signal)
    const name = host.toLowerCase()
    const answer = this.#join(name, signal)
    this.#startNext()
    return answer
  }

  #join(name: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const waiters = this.#waiters.get(name) ?? this.#enqueue(name)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        waiters.delete(waiter)
        if (waiters.size === 0) this.#forgetQueued(name)
        if (signal !== undefined) reject(LinkSocksError.cancelled(signal))
      }
      const unlisten = (): void => signal?.removeEventListener('abort', leave)
      const waiter: Waiter = {
        resolve: (addresses) => {
          unlisten()
          resolve(addresses)
        },
        reject: (error) => {
          unlisten()
          reject(error)
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      waiters.add(waiter)
    })
  }

  #enqueue(name: string): Set<Waiter> {
    if (this.#running >= this.#maxRunning && this.#queue.length >= this.#maxWaiting) {
      throw new LinkSocksError('ERR_DIAL_FAILED', 'too many names are being looked up')
    }
    const waiters = new Set<Waiter>()
    this.#waiters.set(name, waiters)
    this.#queue.push(name)
    return waiters
  }

  #forgetQueued(name: string): void {
    const at = this.#queue.indexOf(name)
    if (at < 0) return
    this.#queue.splice(at, 1)
    this.#waiters.delete(name)
  }

  #startNext(): void {
    while (this.#running < this.#maxRunning) {
      const name = this.#queue.shift()
      if (name === undefined) return
      this.#running += 1
      void this.#run(name)
    }
  }

  async #run(name: string): Promise<void> {
    try {
      const addresses = await withDeadline((signal) => untilAborted(this.#resolve(name, { signal }), signal), {
        clock: this.#clock,
        timeoutMs: LOOKUP_TIMEOUT_MS,
        expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', `looking up ${remoteText(name)} took too long`),
      })
      this.#finish(name, (waiter) => waiter.resolve(addresses))
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      this.#finish(name, (waiter) => waiter.reject(error))
    }
  }

  #finish(name: string, settle: (waiter: Waiter) => void): void {
    const waiters = this.#waiters.get(name)
    this.#waiters.delete(name)
    this.#running -= 1
    for (const waiter of waiters ?? []) settle(waiter)
    this.#startNext()
  }
}
