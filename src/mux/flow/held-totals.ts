import { LinkSocksError } from '../../errors.js'
import { KIB, MIB } from '../../protocol/limits.js'
import { GrowthBudget } from './growth-budget.js'

/** A channel that holds no more than this is not the first to go. */
export const MODEST_BYTES = 64 * KIB

/** Why a channel is given up that adds to a session, or to all sessions, which hold too much. */
export function tooMuchHeld(): LinkSocksError {
  return new LinkSocksError('ERR_LIMIT', 'too much of this link waits for slow readers')
}

export interface HeldLimits {
  /** What one session brought and nobody has taken yet; modest channels may double it. */
  readonly sessionBytes: number
  /** The same for all sessions together; above it, sessions with more than an equal share of it get no more in. */
  readonly totalBytes: number
}

interface Held {
  bytes: number
}

/** Data delivered to the ends of channels in this process and not used up: 512 stalled readers of one session. */
export const RECEIVED_LIMITS: HeldLimits = { sessionBytes: 256 * MIB, totalBytes: 512 * MIB }

/**
 * Counts what waits for slow readers, by the session that brought it: windows bound each channel, these totals bound 20,000
 * of them, and thousands of sessions (docs/protocol.md B.2).
 */
export class HeldTotals {
  /** Windows may grow by half of what may wait in all. */
  readonly growth: GrowthBudget
  readonly #limits: HeldLimits
  /** What waits of each session that ever had something. */
  readonly #held = new WeakMap<object, Held>()
  #sessions = 0
  #bytes = 0
  readonly #waiting = new Map<object, (() => void)[]>()

  constructor(limits: HeldLimits) {
    this.#limits = limits
    this.growth = new GrowthBudget(limits.totalBytes / 2)
  }

  /** What waits of all sessions together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Sessions of which something waits. */
  get sessions(): number {
    return this.#sessions
  }

  /** Much waits: windows go back to what they began with. */
  get pressing(): boolean {
    return this.#bytes > this.#limits.totalBytes / 2
  }

  /** So many bytes more of `session` wait, or fewer when negative. */
  count(session: object, bytes: number): void {
    const held = this.#of(session)
    const before = held.bytes
    held.bytes = Math.max(0, before + bytes)
    this.#bytes += bytes
    if (before === 0 && held.bytes > 0) this.#sessions += 1
    else if (before > 0 && held.bytes === 0) this.#sessions -= 1
    if (bytes < 0 && this.#waiting.size > 0 && held.bytes <= this.#limits.sessionBytes / 4) this.#relieve(session)
  }

  #of(session: object): Held {
    const known = this.#held.get(session)
    if (known !== undefined) return known
    const held = { bytes: 0 }
    this.#held.set(session, held)
    return held
  }

  /** So much of `session` waits that nothing should ask it for more. */
  crowds(session: object): boolean {
    return (this.#held.get(session)?.bytes ?? 0) > this.#limits.sessionBytes / 2
  }

  /** Calls back once, when half of what makes a session crowd is left or less. For a session that crowds. */
  onceRelieved(session: object, callback: () => void): void {
    const waiting = this.#waiting.get(session)
    if (waiting === undefined) this.#waiting.set(session, [callback])
    else waiting.push(callback)
  }

  #relieve(session: object): void {
    const waiting = this.#waiting.get(session)
    this.#waiting.delete(session)
    for (const callback of waiting ?? []) callback()
  }

  /** Whether a channel of `session` that holds `bytes` is among those that hold too much; one that `moves` counts as modest. */
  exceeds(session: object, bytes: number, moves = false): boolean {
    const { sessionBytes, totalBytes } = this.#limits
    const held = this.#held.get(session)?.bytes ?? 0
    const factor = bytes > MODEST_BYTES && !moves ? 1 : 2
    if (held > sessionBytes * factor) return true
    return this.#bytes > totalBytes && held > (totalBytes / this.#sessions) * factor
  }

  /** @throws {LinkSocksError} ERR_LIMIT when {@link exceeds} */
  check(session: object, bytes: number, moves = false): void {
    if (this.exceeds(session, bytes, moves)) throw tooMuchHeld()
  }
}
