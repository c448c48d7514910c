import { LinkSocksError } from '../../errors.js'
import type { Departure } from '../../inbound/departure.js'
import type { Logger } from '../../log.js'
import type { Clock, Credentials, Dialer, ProxyProtocol, Timer } from '../../ports.js'

/** How often a port that could not be opened is tried again, and how often that is logged. */
export const PORT_RETRY_MS = 5_000
/** How often at first: the server before this one may be about to close it. */
export const PORT_QUICK_RETRY_MS = 100
/** How long that is, from the first failure on. */
export const PORT_QUICK_RETRIES_MS = 10_000

/** An open SOCKS5 listener. */
export interface SocksPort {
  /** Frees the port; its connections go on. */
  stopAccepting(): void
  /** Frees the port at once and ends its connections. */
  close(): Promise<void>
}

/**
 * Opens a SOCKS5 listener on the relay's SOCKS address.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export type OpenSocksPort = (options: {
  readonly port: number
  /** Asked at each connection. */
  readonly credentials: () => Credentials | undefined
  readonly dialer: Dialer
  /** What it serves. */
  readonly protocols: readonly ProxyProtocol[]
  readonly departure: Departure | undefined
}) => Promise<SocksPort>

export interface ReversePortOptions {
  readonly port: number
  readonly credentials: () => Credentials | undefined
  readonly dialer: Dialer
  readonly protocols: readonly ProxyProtocol[]
  /** Called when it could not be opened, and without an error when it could be. */
  readonly changed?: ((error?: string) => void) | undefined
  /** @default nobody waits for what comes on the port */
  readonly departure?: Departure | undefined
  readonly openPort: OpenSocksPort
  readonly clock: Clock
  readonly log: Logger
}

/** The SOCKS port of a reverse token: proven free when the token is added, opened when it is wanted, kept until it goes. */
export class ReversePort {
  readonly port: number
  readonly #options: ReversePortOptions
  #open: SocksPort | undefined
  #opening: Promise<void> | undefined
  #retry: Timer | undefined
  /** Of the failures since it was last open. */
  #failures: { readonly since: number; loggedAt: number } | undefined
  #error: string | undefined
  #closed = false

  constructor(options: ReversePortOptions) {
    this.port = options.port
    this.#options = options
  }

  /** What it serves. */
  get protocols(): readonly ProxyProtocol[] {
    return this.#options.protocols
  }

  /** For good. */
  get closed(): boolean {
    return this.#closed
  }

  get listening(): boolean {
    return this.#open !== undefined
  }

  /** Why the port could not be opened. */
  get error(): string | undefined {
    return this.#error
  }

  /** @throws {LinkSocksError} ERR_PORT_UNAVAILABLE */
  async prove(): Promise<void> {
    try {
      const probe = await this.#bind()
      await probe.close()
    } catch (cause) {
      throw new LinkSocksError('ERR_PORT_UNAVAILABLE', 'port not available', { cause })
    }
  }

  /** Opens the port; a failure is logged, shown and tried again, often at first, then every {@link PORT_RETRY_MS}. Idempotent. */
  open(): Promise<void> {
    if (this.#closed || this.#open !== undefined) return Promise.resolve()
    this.#opening ??= this.#tryOpen().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Frees the port for good; its connections go on until `close()`. */
  stopAccepting(): void {
    this.#closed = true
    this.#error = undefined
    this.#retry?.cancel()
    this.#open?.stopAccepting()
  }

  async close(): Promise<void> {
    this.stopAccepting()
    await this.#opening
    const open = this.#open
    this.#open = undefined
    await open?.close()
  }

  async #tryOpen(): Promise<void> {
    const { log, clock } = this.#options
    this.#retry?.cancel()
    try {
      const open = await this.#bind()
      if (this.#closed) return await open.close()
      this.#open = open
      this.#error = undefined
      this.#failures = undefined
      this.#options.changed?.()
      log.info('socks.listening', { port: this.port })
    } catch (thrown) {
      // nobody wants it any more
      if (this.#closed) return
      this.#error = LinkSocksError.from(thrown, 'ERR_LISTEN').message
      this.#options.changed?.(this.#error)
      const retryMs = this.#failed(clock.now(), this.#error)
      this.#retry = clock.after(retryMs, () => void this.open())
    }
  }

  /** @returns after how long to try again */
  #failed(now: number, reason: string): number {
    this.#failures ??= { since: now, loggedAt: Number.NEGATIVE_INFINITY }
    const isQuick = now - this.#failures.since < PORT_QUICK_RETRIES_MS
    const retryMs = isQuick ? PORT_QUICK_RETRY_MS : PORT_RETRY_MS
    if (now - this.#failures.loggedAt >= PORT_RETRY_MS) {
      this.#failures.loggedAt = now
      this.#options.log.error('socks.listen.failed', { port: this.port, reason, retryMs })
    }
    return retryMs
  }

  #bind(): Promise<SocksPort> {
    const { openPort, port, credentials, dialer, protocols, departure } = this.#options
    return openPort({ port, credentials, dialer, protocols, departure })
  }
}
