import { canonicalIp } from '../../address.js'
import { untilAborted, withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import type { Clock, DialOptions, Resolve } from '../../ports.js'

/** Look-ups of one session running at a time: a quarter of the resolver threads that the command gives the process. */
export const MAX_RUNNING_LOOKUPS = 8
/** Those of one source among them, so that others find a place. */
export const MAX_RUNNING_LOOKUPS_OF_SOURCE = 4
/** Names that wait for their turn; one more fails at once. */
export const MAX_WAITING_LOOKUPS = 1_024
/** Those that one source asked for first. */
export const MAX_WAITING_LOOKUPS_OF_SOURCE = 256
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

/** What a caller counts for; `undefined` has no share but the whole. */
type Source = string | undefined

interface Waiter {
  readonly source: Source
  readonly resolve: (addresses: readonly string[]) => void
  readonly reject: (error: LinkSocksError) => void
}

/** A name with its callers. */
class Asked {
  readonly name: string
  readonly #waiters = new Set<Waiter>()
  /** Callers of each source; the one that came first stands first. */
  readonly #sources = new Map<Source, number>()

  constructor(name: string) {
    this.name = name
  }

  get empty(): boolean {
    return this.#waiters.size === 0
  }

  get waiters(): Iterable<Waiter> {
    return this.#waiters
  }

  get sources(): Iterable<Source> {
    return this.#sources.keys()
  }

  /** Whether the name counts as one that `source` asked for. */
  isOf(source: Source): boolean {
    return this.#sources.keys().next().value === source
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter)
    count(this.#sources, waiter.source, 1)
  }

  remove(waiter: Waiter): void {
    if (this.#waiters.delete(waiter)) count(this.#sources, waiter.source, -1)
  }
}

/**
 * Name resolution with a bound on what runs and what waits. Callers asking for one name share its look-up. The source with the
 * fewest look-ups running has the next turn, and of its names the one that came first. Most
 * resolvers can't be stopped, so a look-up that its callers have left keeps its place until it is really over.
 */
export class Lookups {
  readonly #resolve: Resolve
  readonly #clock: Clock
  readonly #maxRunning: number
  readonly #maxWaiting: number
  readonly #asked = new Map<string, Asked>()
  readonly #queue: Asked[] = []
  /** Look-ups of each source. */
  readonly #runningOf = new Map<Source, number>()
  #running = 0

  constructor({ resolve, clock, maxRunning = MAX_RUNNING_LOOKUPS, maxWaiting = MAX_WAITING_LOOKUPS }: LookupsOptions) {
    this.#resolve = resolve
    this.#clock = clock
    this.#maxRunning = maxRunning
    this.#maxWaiting = maxWaiting
  }

  /** Names being looked up or waiting for their turn. */
  get pending(): number {
    return this.#asked.size
  }

  /**
   * As `Resolve`; IP text is its own answer and takes no place.
   * @throws {LinkSocksError} ERR_DIAL_FAILED when too many names wait, of `source` or in all, ERR_DIAL_TIMEOUT after LOOKUP_TIMEOUT_MS; else as `Resolve`
   */
  async lookup(host: string, { signal, source }: DialOptions = {}): Promise<readonly string[]> {
    const ip = canonicalIp(host)
    if (ip !== undefined) return [ip]
    if (signal?.aborted) throw LinkSocksError.cancelled(signal)
    const name = host.toLowerCase()
    const answer = this.#join(name, source, signal)
    this.#startNext()
    return answer
  }

  #join(name: string, source: Source, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const asked = this.#asked.get(name) ?? this.#enqueue(name, source)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        asked.remove(waiter)
        if (asked.empty) this.#forgetQueued(asked)
        if (signal !== undefined) reject(LinkSocksError.cancelled(signal))
      }
      const unlisten = (): void => signal?.removeEventListener('abort', leave)
      const waiter: Waiter = {
        source,
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
      asked.add(waiter)
    })
  }

  #enqueue(name: string, source: Source): Asked {
    if (!this.#hasRoom(source) && this.#queueIsFull(source)) {
      throw new LinkSocksError('ERR_DIAL_FAILED', 'too many names are being looked up')
    }
    const asked = new Asked(name)
    this.#asked.set(name, asked)
    this.#queue.push(asked)
    return asked
  }

  /** Whether a look-up of `source` may start now. */
  #hasRoom(source: Source): boolean {
    if (this.#running >= this.#maxRunning) return false
    return source === undefined || (this.#runningOf.get(source) ?? 0) < MAX_RUNNING_LOOKUPS_OF_SOURCE
  }

  #queueIsFull(source: Source): boolean {
    if (this.#queue.length >= this.#maxWaiting) return true
    if (source === undefined) return false
    return this.#queue.filter((asked) => asked.isOf(source)).length >= MAX_WAITING_LOOKUPS_OF_SOURCE
  }

  #forgetQueued(asked: Asked): void {
    const at = this.#queue.indexOf(asked)
    if (at < 0) return
    this.#queue.splice(at, 1)
    this.#asked.delete(asked.name)
  }

  #startNext(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { asked, source } = next
      this.#queue.splice(this.#queue.indexOf(asked), 1)
      this.#running += 1
      count(this.#runningOf, source, 1)
      void this.#run(asked, source)
    }
  }

  /** What has the next turn, and the source that it counts for. */
  #next(): { readonly asked: Asked; readonly source: Source } | undefined {
    if (this.#running >= this.#maxRunning) return undefined
    let best: { readonly asked: Asked; readonly source: Source; readonly running: number } | undefined
    for (const asked of this.#queue) {
      for (const source of asked.sources) {
        const running = this.#runningOf.get(source) ?? 0
        if (this.#hasRoom(source) && running < (best?.running ?? Number.POSITIVE_INFINITY)) {
          best = { asked, source, running }
        }
      }
      if (best?.running === 0) break
    }
    return best
  }

  async #run(asked: Asked, source: Source): Promise<void> {
    const { name } = asked
    try {
      const addresses = await withDeadline((signal) => untilAborted(this.#resolve(name, { signal }), signal), {
        clock: this.#clock,
        timeoutMs: LOOKUP_TIMEOUT_MS,
        expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', `looking up ${remoteText(name)} took too long`),
      })
      this.#finish(asked, source, (waiter) => waiter.resolve(addresses))
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      this.#finish(asked, source, (waiter) => waiter.reject(error))
    }
  }

  #finish(asked: Asked, source: Source, settle: (waiter: Waiter) => void): void {
    this.#asked.delete(asked.name)
    this.#running -= 1
    count(this.#runningOf, source, -1)
    for (const waiter of asked.waiters) settle(waiter)
    this.#startNext()
  }
}

/** Adds `change` to the count of `source`, which is there while it is above 0. */
function count(counts: Map<Source, number>, source: Source, change: 1 | -1): void {
  const now = (counts.get(source) ?? 0) + change
  if (now > 0) counts.set(source, now)
  else counts.delete(source)
}
