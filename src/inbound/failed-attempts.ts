import { networkOf } from '../address.js'
import { LeakyCount } from '../leaky-count.js'
import { Lru } from '../lru.js'
import type { Clock } from '../ports.js'

/** Failures of one address that are answered at once; they are forgiven one by one. */
const FREE_FAILURES = 10
const FORGIVEN_AFTER_MS = 6_000
/** Each further one waits so much longer for its answer, up to {@link MAX_DELAY_MS}. */
const DELAY_STEP_MS = 250
const MAX_DELAY_MS = 3_000
/** From here on the answer is only that there were too many. */
export const MAX_FAILURES = 60
/** Addresses that are remembered; beyond that the one that failed longest ago is forgotten. */
export const MAX_ADDRESSES = 10_000

/** Above the limit it would take longer to be forgiven than somebody who only makes mistakes can wait. */
const FORGIVENESS = { forgivenAfterMs: FORGIVEN_AFTER_MS, max: MAX_FAILURES + 1 }

/** What was wrong. */
export type FailureKind = 'token' | 'disabled_token' | 'api_key' | 'socks'

export interface Verdict {
  /** How long the answer is to be held back. */
  readonly delayMs: number
  /** There were so many that it gets no reason. */
  readonly refused: boolean
}

/**
 * Counts failed authentications by address. It slows down who fails, and nobody else: a correct token or key is never asked
 * where it comes from.
 */
export class FailedAttempts {
  readonly #clock: Pick<Clock, 'now'>
  readonly #failures = new Lru<string, LeakyCount>(MAX_ADDRESSES)
  readonly #onRefused: ((address: string) => void) | undefined
  /** Failures since the start. */
  readonly counts: Record<FailureKind, number> = { token: 0, disabled_token: 0, api_key: 0, socks: 0 }

  /** @param onRefused called for each failure of an address (IPv6: its /64) that had too many */
  constructor(clock: Pick<Clock, 'now'>, onRefused?: (address: string) => void) {
    this.#clock = clock
    this.#onRefused = onRefused
  }

  get addresses(): number {
    return this.#failures.size
  }

  /** One that nobody is slowed down for. */
  count(kind: FailureKind): void {
    this.counts[kind] += 1
  }

  /** An attempt from `address` has failed. */
  note(address: string, kind: FailureKind): Verdict {
    this.count(kind)
    const key = networkOf(address)
    const failures = this.#failures.get(key) ?? new LeakyCount(FORGIVENESS)
    this.#failures.set(key, failures)
    const count = failures.add(this.#clock.now())
    const over = count - FREE_FAILURES
    if (count > MAX_FAILURES) this.#onRefused?.(key)
    return {
      delayMs: Math.min(MAX_DELAY_MS, Math.max(0, over) * DELAY_STEP_MS),
      refused: count > MAX_FAILURES,
    }
  }
}
