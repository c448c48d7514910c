import { LinkSocksError } from '../errors.js'
import type { AbortOptions, Clock } from '../ports.js'
import { openBesides } from './open-besides.js'
import type { Session } from './session.js'

/** Sessions tried for one request when session after session is lost under it. */
export const MAX_SESSIONS_TRIED = 4

export interface SessionPoolOptions {
  readonly clock: Clock
  /** Requests that may wait at a time, those without a limit of time left out. */
  readonly maxWaiting: number
  /** Why a request fails for which no session came: text of ERR_DIAL_NETWORK_UNREACHABLE. */
  readonly noneText: string
  /** Why a request is refused while too many wait: text of ERR_LIMIT. */
  readonly crowdedText: string
}

export interface ChooseOptions<T> extends AbortOptions {
  /** Milliseconds that a request waits while there is no session; 0 is not at all. @default for as long as it takes */
  readonly waitMs?: number | undefined
  /** Confines the choice to some entries. @default any */
  readonly only?: ((entry: T) => boolean) | undefined
}

export interface OpenOptions<T, R> extends ChooseOptions<T> {
  /** Whether the next entry is tried after this error of a session that was lost. @default always */
  readonly goesOn?: ((error: LinkSocksError) => boolean) | undefined
  /**
   * Disposes of what a session opened after all, when another one was faster. @default a session that owes an answer is waited for
   */
  readonly discard?: ((opened: R) => void) | undefined
  /** Hears why no entry could be chosen, before `open()` rejects. */
  readonly unserved?: ((error: LinkSocksError) => void) | undefined
}

interface Waiter<T> {
  readonly only: ((entry: T) => boolean) | undefined
  resolve(entry: T): void
  reject(error: LinkSocksError): void
}

/** Sessions that serve the same requests, used in turn; requests wait while there is none. */
export class SessionPool<T extends { readonly session: Session }> {
  readonly #options: SessionPoolOptions
  readonly #entries: T[] = []
  readonly #waiters = new Set<Waiter<T>>()
  #turn = 0
  #closed: LinkSocksError | undefined

  constructor(options: SessionPoolOptions) {
    this.#options = options
  }

  get entries(): readonly T[] {
    return this.#entries
  }

  get size(): number {
    return this.#entries.length
  }

  /** An entry whose session takes no channels is left out. */
  add(entry: T): void {
    if (!entry.session.available) return
    this.#entries.push(entry)
    for (const waiter of [...this.#waiters]) if (waiter.only?.(entry) !== false) waiter.resolve(entry)
  }

  /** One that is not there is left alone. */
  remove(entry: T): void {
    const index = this.#entries.indexOf(entry)
    if (index >= 0) this.#entries.splice(index, 1)
  }

  /** Every wait ends with `reason`, now and from now on. Idempotent. */
  close(reason: LinkSocksError): void {
    this.#closed ??= reason
    for (const waiter of [...this.#waiters]) waiter.reject(reason)
  }

  /**
   * The next entry in turn whose session takes channels; without one, waits for it.
   * @throws {LinkSocksError} ERR_DIAL_NETWORK_UNREACHABLE (none came in time), ERR_LIMIT, ERR_CANCELLED, what `close()` was given
   */
  async choose(options: ChooseOptions<T> = {}): Promise<T> {
    return this.#next(options.only) ?? this.#wait(options)
  }

  /** The next entry in turn that was not asked yet and owes nothing. */
  beside(asked: readonly T[], only?: (entry: T) => boolean): T | undefined {
    const entry = this.#next((other) => !asked.includes(other) && only?.(other) !== false)
    return entry?.session.silent === false ? entry : undefined
  }

  /**
   * Opens something through one entry after another, up to {@link MAX_SESSIONS_TRIED}, while the chosen one is lost under it. Through one
   * that owes an answer another one is asked besides, where there is one and `discard` is given: the first success counts.
   * @throws {LinkSocksError} as choose(), and what `open` throws
   */
  async open<R>(open: (entry: T) => Promise<R>, options: OpenOptions<T, R> = {}): Promise<R> {
    for (let attempt = 1; ; attempt += 1) {
      const entry = this.#next(options.only) ?? (await this.#waitOrTell(options))
      let failed = entry
      try {
        return await this.#openBesides(entry, open, options, (other) => {
          failed = other
        })
      } catch (thrown) {
        if (attempt >= MAX_SESSIONS_TRIED || !wasLost(failed, thrown, options)) throw thrown
      }
    }
  }

  #openBesides<R>(
    first: T,
    open: (entry: T) => Promise<R>,
    options: OpenOptions<T, R>,
    failed: (entry: T) => void,
  ): Promise<R> {
    if (options.discard === undefined || this.#entries.length < 2) return open(first)
    const next = (asked: readonly T[]): T | undefined => this.beside(asked, options.only)
    return openBesides(first, { open, discard: options.discard, next, failed })
  }

  /** In turn; those whose peers owe an answer come last, and are given work again as soon as they send anything. */
  #next(only: ((entry: T) => boolean) | undefined): T | undefined {
    const { length } = this.#entries
    let silent: number | undefined
    for (let step = 1; step <= length; step += 1) {
      const index = (this.#turn + step) % length
      const entry = this.#entries[index]
      if (entry?.session.available !== true || only?.(entry) === false) continue
      if (!entry.session.silent) return this.#take(index)
      silent ??= index
    }
    return silent === undefined ? undefined : this.#take(silent)
  }

  #take(index: number): T | undefined {
    this.#turn = index
    const entry = this.#entries[index]
    entry?.session.ask()
    return entry
  }

  async #waitOrTell<R>(options: OpenOptions<T, R>): Promise<T> {
    try {
      return await this.#wait(options)
    } catch (thrown) {
      options.unserved?.(LinkSocksError.from(thrown, 'ERR_DIAL_FAILED'))
      throw thrown
    }
  }

  async #wait({ waitMs, only, signal }: ChooseOptions<T>): Promise<T> {
    const { clock, maxWaiting, noneText, crowdedText } = this.#options
    const none = (): LinkSocksError => new LinkSocksError('ERR_DIAL_NETWORK_UNREACHABLE', noneText)
    if (this.#closed !== undefined) throw this.#closed
    if (waitMs !== undefined && waitMs <= 0) throw none()
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    if (waitMs !== undefined && this.#waiters.size >= maxWaiting) throw new LinkSocksError('ERR_LIMIT', crowdedText)
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        this.#waiters.delete(waiter)
        timer?.cancel()
        signal?.removeEventListener('abort', cancel)
        action()
      }
      const waiter: Waiter<T> = {
        only,
        resolve: (entry) => settle(() => resolve(entry)),
        reject: (error) => settle(() => reject(error)),
      }
      const cancel = (): void => waiter.reject(LinkSocksError.cancelled(signal as AbortSignal))
      const timer = waitMs === undefined ? undefined : clock.after(waitMs, () => waiter.reject(none()))
      signal?.addEventListener('abort', cancel)
      this.#waiters.add(waiter)
    })
  }
}

/** The session went away, and the request may still be served by another one. */
function wasLost<T extends { readonly session: Session }>(
  { session }: T,
  thrown: unknown,
  { goesOn, signal }: Pick<OpenOptions<T, unknown>, 'goesOn' | 'signal'>,
): boolean {
  if (!(thrown instanceof LinkSocksError) || session.available || signal?.aborted === true) return false
  return goesOn?.(thrown) ?? true
}
