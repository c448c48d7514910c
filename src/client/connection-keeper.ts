import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Clock, Crypto, WatchWake } from '../ports.js'
import { Backoff, DRAINED_AFTER_MS, REFUSAL_MAY_PASS_MS, REFUSED_DELAY_MS, STABLE_AFTER_MS } from './backoff.js'

/** One session while it lives on a connection. */
export interface LiveSession {
  /** Settles when the connection is gone; `undefined` when it was closed in order. */
  readonly gone: Promise<LinkSocksError | undefined>
  /** It carried something: what ended it so soon was not the way it began. */
  useful(): boolean
  close(): Promise<void>
}

export interface ConnectionKeeperOptions {
  /** Connects and authenticates once. */
  readonly open: (signal: AbortSignal) => Promise<LiveSession>
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  /** Connect again after a loss, and go on trying after a failure. */
  readonly reconnect: boolean
  /** Try again after a refused token that was never good. */
  readonly retryAuth: boolean
  /** Ends a wait between two attempts. @default none */
  readonly watchWake?: WatchWake | undefined
  /** Whether the server ever admitted this client, on whichever connection: what fails then may be better later. */
  readonly wasAdmitted: () => boolean
}

/** Keeps one connection up until it is told to stop or there is no point in going on. */
export class ConnectionKeeper {
  readonly #options: ConnectionKeeperOptions
  readonly #stop = new AbortController()
  readonly #backoff: Backoff
  #live: LiveSession | undefined
  #lastUp = Number.NEGATIVE_INFINITY
  #running: Promise<LinkSocksError | undefined> | undefined

  constructor(options: ConnectionKeeperOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.crypto)
  }

  /** Settles when it is over: with the error that ended it, or `undefined` after `close()`. Shared by all callers. */
  run(): Promise<LinkSocksError | undefined> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Ends the connection and the trying. */
  async close(): Promise<void> {
    this.#stop.abort(new LinkSocksError('ERR_CANCELLED', 'closed'))
    await this.#live?.close()
    await this.#running
  }

  async #run(): Promise<LinkSocksError | undefined> {
    while (!this.#stop.signal.aborted) {
      const error = await this.#once()
      if (this.#stop.signal.aborted) break
      if (this.#isFinal(error)) return error
      const delayMs = this.#delay(error)
      this.#options.log.warn('link.retry', { code: error.code, reason: error.message, delayMs })
      await this.#sleep(delayMs)
    }
    return undefined
  }

  /** One connection from its opening to its end. */
  async #once(): Promise<LinkSocksError> {
    const { open, clock } = this.#options
    try {
      const session = await open(this.#stop.signal)
      this.#live = session
      if (this.#stop.signal.aborted) await session.close()
      const since = clock.now()
      const error = await session.gone
      this.#live = undefined
      this.#lastUp = clock.now()
      const isDrained = error?.code === 'ERR_SHUTTING_DOWN'
      if (clock.now() - since >= (isDrained ? DRAINED_AFTER_MS : STABLE_AFTER_MS)) this.#backoff.reset()
      else if (session.useful()) this.#backoff.forgive()
      return error ?? new LinkSocksError('ERR_LINK_LOST', 'the server closed the link')
    } catch (thrown) {
      return LinkSocksError.from(thrown, 'ERR_CONNECT')
    }
  }

  #isFinal(error: LinkSocksError): boolean {
    const { reconnect, retryAuth, wasAdmitted } = this.#options
    if (!reconnect) return true
    if (wasAdmitted()) return false
    if (error.code === 'ERR_URL' || error.code === 'ERR_OPTION') return true
    return error.code === 'ERR_AUTH_REJECTED' && !retryAuth
  }

  #delay(error: LinkSocksError): number {
    const delay = this.#backoff.next()
    const mayPass = this.#options.clock.now() - this.#lastUp < REFUSAL_MAY_PASS_MS
    if (error.code !== 'ERR_AUTH_REJECTED' || mayPass) return delay
    return REFUSED_DELAY_MS + delay
  }

  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const wake = (): void => {
        timer.cancel()
        unwatch?.()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const unwatch = this.#options.watchWake?.(() => {
        this.#options.log.debug('link.wake')
        wake()
      })
      const timer = this.#options.clock.after(delayMs, wake)
      signal.addEventListener('abort', wake)
    })
  }
}
