import { type Logger, remoteText } from '../../log.js'
import type { Clock, Timer } from '../../ports.js'
import { POLICY_REASONS, type PolicyReason, type PolicyRefusal, type Refusals } from '../policies/policed-token.js'
import type { EventLog } from './event-log.js'
import type { Statistics } from './statistics.js'

/** Tokens and reasons that are told of at a time; what comes above is counted alone. */
export const MAX_TOLD = 1_000
/** A token and reason is told of so often at most. */
export const TELL_MS = 1_000

interface Told {
  /** Since it was told of. */
  count: number
  last: PolicyRefusal
  timer: Timer
}

export interface PolicyRefusalsOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly events: EventLog
  readonly statistics: Statistics
}

/** Tells of what policies refuse: each in the counts, and a token and reason once a second in the log and the events. */
export class PolicyRefusals implements Refusals {
  readonly #options: PolicyRefusalsOptions
  readonly #told = new Map<string, Told>()
  /** How often, by token. */
  readonly #counts = new Map<string, Record<PolicyReason, number>>()
  #closed = false

  constructor(options: PolicyRefusalsOptions) {
    this.#options = options
  }

  refused(refusal: PolicyRefusal): void {
    const { statistics } = this.#options
    statistics.policyRefusals[refusal.reason] += 1
    this.#count(refusal)
    const key = `${refusal.tokenId} ${refusal.reason}`
    const told = this.#told.get(key)
    if (told !== undefined) {
      told.count += 1
      told.last = refusal
      return
    }
    if (this.#closed || this.#told.size >= MAX_TOLD) return
    this.#tell(refusal, 1)
    this.#told.set(key, { count: 0, last: refusal, timer: this.#later(key) })
  }

  /** How often a token was refused something, since the start. */
  countsOf(tokenId: string): Readonly<Record<PolicyReason, number>> {
    return this.#counts.get(tokenId) ?? none()
  }

  /** A token is gone. */
  forget(tokenId: string): void {
    this.#counts.delete(tokenId)
  }

  /** Tells no more; what is refused is still counted. */
  close(): void {
    this.#closed = true
    for (const { timer } of this.#told.values()) timer.cancel()
    this.#told.clear()
  }

  #count({ tokenId, reason }: PolicyRefusal): void {
    const counts = this.#counts.get(tokenId) ?? none()
    counts[reason] += 1
    this.#counts.set(tokenId, counts)
  }

  #later(key: string): Timer {
    return this.#options.clock.after(TELL_MS, () => {
      const told = this.#told.get(key)
      if (told === undefined) return
      if (told.count === 0) return void this.#told.delete(key)
      this.#tell(told.last, told.count)
      told.count = 0
      told.timer = this.#later(key)
    })
  }

  #tell({ tokenId, reason, rule, subject }: PolicyRefusal, count: number): void {
    const { log, events } = this.#options
    const shown = subject === undefined ? undefined : remoteText(subject)
    log.info('policy.refused', { token: tokenId, reason, rule, subject: shown, count })
    events.emit({ type: 'policy.refused', tokenId, reason, rule, subject: shown, count })
  }
}

function none(): Record<PolicyReason, number> {
  return Object.fromEntries(POLICY_REASONS.map((reason) => [reason, 0])) as Record<PolicyReason, number>
}
