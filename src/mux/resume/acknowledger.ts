import type { Clock, Timer } from '../../ports.js'
import { ACK_BYTES, ACK_DELAY_MS } from '../../protocol/limits.js'

/** Received bytes that are acknowledged when something else leaves anyway: then it costs no write of its own. */
const BESIDE_BYTES = ACK_BYTES / 4

/** Counts what was received, and says when to acknowledge it (docs/protocol.md B.3). */
export class Acknowledger {
  readonly #clock: Clock
  readonly #acknowledge: (received: number) => void
  #received = 0
  #acknowledged = 0
  /** Received since the last acknowledgement. */
  #bytes = 0
  #timer: Timer | undefined

  /** @param acknowledge tells the peer how many messages were received. */
  constructor(clock: Clock, acknowledge: (received: number) => void) {
    this.#clock = clock
    this.#acknowledge = acknowledge
  }

  /** Messages received since the session began. */
  get received(): number {
    return this.#received
  }

  count(bytes: number): void {
    this.#received += 1
    this.#bytes += bytes
    if (this.#bytes >= ACK_BYTES) this.flush()
    else this.#timer ??= this.#clock.after(ACK_DELAY_MS, () => this.#late())
  }

  /** Something small is about to leave. */
  piggyback(): void {
    if (this.#bytes >= BESIDE_BYTES) this.flush()
  }

  /** Acknowledges now what was not yet. */
  flush(): void {
    if (this.#acknowledged === this.#received) return
    this.#acknowledged = this.#received
    this.#bytes = 0
    this.#acknowledge(this.#received)
  }

  /** The connection is gone; the next one begins with a count of its own. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#acknowledged = this.#received
    this.#bytes = 0
  }

  #late(): void {
    this.#timer = undefined
    this.flush()
  }
}
