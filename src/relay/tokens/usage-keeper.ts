import { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer, TokenStore, TokenUsage } from '../../ports.js'
import type { Alarms } from '../observe/alarms.js'
import type { EventLog, QuotaEvent } from '../observe/event-log.js'
import type { Statistics } from '../observe/statistics.js'
import type { QuotaState, TrafficEvents } from '../traffic/token-traffic.js'
import { Usage } from '../traffic/usage.js'
import type { Token, TokenTable } from './tokens.js'

/** What a token with a quota used is written so long after it was counted. */
export const QUOTA_WRITE_MS = 5_000
/** The same without a quota. */
export const USAGE_WRITE_MS = 300_000

/** Of the alarm that counters can't be written. */
const ALARM_SUBJECT = 'usage'

export interface UsageKeeperOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly store: TokenStore
  readonly alarms: Alarms
  readonly events: EventLog
  readonly statistics: Statistics
  /** Nothing is left of the quota of a token. */
  readonly usedUp: (token: Token) => void
  /** A token is gone. */
  readonly forgotten: (id: string) => void
}

/** Lets what tokens used outlive the process, and tells of their quotas. Only tokens of the API are kept. */
export class UsageKeeper {
  readonly #options: UsageKeeperOptions
  /** Of tokens that are not there yet. */
  #stored = new Map<string, TokenUsage>()
  /** Those that have used something since they were written. */
  readonly #changed = new Set<Token>()
  #timer: Timer | undefined
  /** When the timer fires. */
  #due = Number.POSITIVE_INFINITY
  #last: Promise<void> = Promise.resolve()
  #closed = false
  readonly #hears: TrafficEvents

  constructor(tokens: Pick<TokenTable, 'byId'>, options: UsageKeeperOptions) {
    this.#options = options
    const { statistics } = options
    this.#hears = {
      counted: (id) => this.#counted(tokens.byId(id)),
      delayed: (direction, bytes) => {
        statistics.throttledBytes[direction] += bytes
      },
      droppedDatagram: () => {
        statistics.throttledDatagrams += 1
      },
      quotaWarning: (id, state) => this.#emit('policy.quota-warning', id, state),
      quotaUsedUp: (id, state) => {
        this.#emit('policy.quota-used-up', id, state)
        const token = tokens.byId(id)
        if (token === undefined) return
        this.#counted(token, options.clock.now())
        options.usedUp(token)
      },
    }
  }

  /** @throws {LinkSocksError} ERR_STORE */
  async load(): Promise<void> {
    this.#stored = new Map(await this.#options.store.loadUsage())
  }

  /** A token is there: it goes on with what it used before. */
  watch(token: Token): void {
    const { traffic } = token.use
    traffic.tell(this.#hears)
    const usage = token.source === 'api' ? this.#stored.get(token.id) : undefined
    this.#stored.delete(token.id)
    if (usage !== undefined) traffic.restore(usage)
  }

  /** A token is gone. */
  forget(token: Token): void {
    this.#changed.delete(token)
    this.#options.forgotten(token.id)
  }

  /**
   * Begins to count anew, once that is written.
   * @throws {LinkSocksError} ERR_NOT_STORED: nothing has changed
   */
  reset(token: Token): Promise<void> {
    const { clock, store } = this.#options
    const { traffic } = token.use
    const reset = this.#last.then(async () => {
      const usage = { [token.id]: new Usage(clock.wallTime()).record }
      if (token.source === 'api') await store.write({ usage })
      traffic.reset()
    })
    this.#last = reset.catch(() => {})
    return reset
  }

  /** Writes what is not written yet; settles when it is, or when it could not be. */
  flush(): Promise<void> {
    this.#last = this.#last.then(() => this.#write())
    return this.#last
  }

  /** Writes for the last time. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.flush()
  }

  /** @param soon when it is to be written, by the clock. @default as long after it as the token's counters may wait */
  #counted(token: Token | undefined, soon?: number): void {
    const { clock, store } = this.#options
    if (token?.source !== 'api' || !store.durable || this.#closed) return
    this.#changed.add(token)
    const due = soon ?? clock.now() + (token.use.traffic.hasQuota ? QUOTA_WRITE_MS : USAGE_WRITE_MS)
    if (due < this.#due) this.#writeAt(due)
  }

  #writeAt(due: number): void {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#due = due
    this.#timer = clock.after(due - clock.now(), () => void this.flush())
  }

  async #write(): Promise<void> {
    const { store, alarms, log, clock } = this.#options
    this.#timer?.cancel()
    this.#due = Number.POSITIVE_INFINITY
    const tokens = [...this.#changed]
    if (tokens.length === 0) return
    this.#changed.clear()
    try {
      await store.write({ usage: Object.fromEntries(tokens.map(({ id, use }) => [id, use.traffic.usage.record])) })
      alarms.clear('not-stored', ALARM_SUBJECT)
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
      log.error('usage.not-stored', { code, reason: message })
      alarms.raise('not-stored', ALARM_SUBJECT, 'what tokens used cannot be written to the data directory')
      for (const token of tokens) this.#changed.add(token)
      if (!this.#closed) this.#writeAt(clock.now() + QUOTA_WRITE_MS)
    }
  }

  #emit(type: QuotaEvent['type'], id: string, { used, quota, resetsAt }: QuotaState): void {
    const { log, events } = this.#options
    log.info(type, { token: id, used, bytes: quota.bytes, period: quota.period })
    events.emit({ type, tokenId: id, used, bytes: quota.bytes, period: quota.period, resetsAt })
  }
}
