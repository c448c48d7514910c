import type { Clock, MessageTransport, Timer } from '../ports.js'
import { LINK_TIMEOUT_MS, PING_INTERVAL_MS } from '../protocol/limits.js'

export interface KeepaliveOptions {
  readonly transport: Pick<MessageTransport, 'ping' | 'pong'>
  readonly clock: Clock
  /** Also send unsolicited pongs: deployed servers extend their deadline on nothing else (docs/protocol.md A.1). */
  readonly pongs: boolean
  /** Called once when nothing arrived for {@link LINK_TIMEOUT_MS}. */
  readonly dead: () => void
}

/** Pings a transport and notices when it has gone silent. */
export class Keepalive {
  readonly #options: KeepaliveOptions
  #lastActivity: number
  #pausedAt: number | undefined
  #pingTimer: Timer
  #deadlineTimer: Timer

  constructor(options: KeepaliveOptions) {
    this.#options = options
    this.#lastActivity = options.clock.now()
    this.#pingTimer = options.clock.after(PING_INTERVAL_MS, () => this.#ping())
    this.#deadlineTimer = options.clock.after(LINK_TIMEOUT_MS, () => this.#judge())
  }

  /** A frame arrived. */
  activity(): void {
    this.#lastActivity = this.#options.clock.now()
    if (this.#pausedAt !== undefined) this.#pausedAt = this.#lastActivity
  }

  /** We stopped reading: the peer's silence proves nothing until `resume()`. */
  pause(): void {
    this.#pausedAt ??= this.#options.clock.now()
  }

  resume(): void {
    if (this.#pausedAt === undefined) return
    this.#lastActivity += this.#options.clock.now() - this.#pausedAt
    this.#pausedAt = undefined
  }

  stop(): void {
    this.#pingTimer.cancel()
    this.#deadlineTimer.cancel()
  }

  #ping(): void {
    this.#options.transport.ping()
    if (this.#options.pongs) this.#options.transport.pong()
    this.#pingTimer = this.#options.clock.after(PING_INTERVAL_MS, () => this.#ping())
  }

  #judge(): void {
    const now = this.#pausedAt ?? this.#options.clock.now()
    const left = this.#lastActivity + LINK_TIMEOUT_MS - now
    if (left <= 0) {
      this.#pingTimer.cancel()
      this.#options.dead()
      return
    }
    this.#deadlineTimer = this.#options.clock.after(left, () => this.#judge())
  }
}
