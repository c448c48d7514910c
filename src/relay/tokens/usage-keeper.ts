import { LinkSocksError } from '../../errors.js'
import type { DrainRecord, UsageGrowth } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer, TokenStore, TokenUsage } from '../../ports.js'
import type { Alarms } from '../observe/alarms.js'
import type { EventLog, QuotaEvent } from '../observe/event-log.js'
import type { Statistics } from '../observe/statistics.js'
import type { QuotaState, TrafficEvents } from '../traffic/token-traffic.js'
import { type Direction, Usage } from '../traffic/usage.js'
import { GrowingUsage } from './growing-usage.js'
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
  readonly #tokens: Pick<TokenTable, 'byId'>
  readonly #options: UsageKeeperOptions
  /** Of tokens that are not there yet. */
  #stored = new Map<string, TokenUsage>()
  /** What was added last from another process, until that is written: whatever writes counters must say so. */
  #taking: string | undefined
  /** Those of them that grew since they were written. */
  readonly #grown = new Set<string>()
  /** Those that have used something since they were written. */
  readonly #changed = new Set<Token>()
  #timer: Timer | undefined
  /** When the timer fires. */
  #due = Number.POSITIVE_INFINITY
  #last: Promise<void> = Promise.resolve()
  #closed = false
  /** Once the store is another process's. */
  #released: { readonly growth: GrowingUsage; readonly drain: DrainRecord | undefined } | undefined
  readonly #hears: TrafficEvents

  constructor(tokens: Pick<TokenTable, 'byId'>, options: UsageKeeperOptions) {
    this.#tokens = tokens
    this.#options = options
    const { statistics } = options
    this.#hears = {
      counted: (id, direction, bytes) => this.#counted(tokens.byId(id), direction, bytes),
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
        this.#writeSoon(token, options.clock.now())
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
    // added, and not written yet
    if (this.#grown.delete(token.id) && token.source === 'api') this.#changed.add(token)
  }

  /** A token is gone. */
  forget(token: Token): void {
    this.#changed.delete(token)
    this.#options.forgotten(token.id)
  }

  /**
   * Begins to count anew, once that is written.
   * @throws {LinkSocksError} ERR_NOT_STORED, ERR_SHUTTING_DOWN: nothing has changed
   */
  reset(token: Token): Promise<void> {
    const { clock, store } = this.#options
    const { traffic } = token.use
    return this.#inTurn(async () => {
      if (this.#released !== undefined || this.#closed) throw shuttingDown()
      const usage = { [token.id]: new Usage(clock.wallTime()).record }
      if (token.source === 'api') await store.write({ usage })
      traffic.reset()
    })
  }

  /**
   * Adds what another process counted, and writes it.
   * @param name of what it left
   * @param growth `undefined` if it was added before and could not be written
   * @throws {LinkSocksError} ERR_NOT_STORED: it is added, and not written
   */
  takeIn(name: string, growth: UsageGrowth | undefined): Promise<void> {
    return this.#inTurn(async () => {
      // it stays for the process that has the store then
      if (this.#released !== undefined) throw shuttingDown()
      if (growth !== undefined) this.#taking = name
      for (const [id, one] of Object.entries(growth ?? {})) this.#grow(id, one)
      await this.#store(name)
    })
  }

  /** Writes what is not written yet; settles when it is, or when it could not be. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#write())
  }

  /** Writes to the store for the last time: what is counted from here on is left by `drain` for the process that has it then. */
  release(drain: DrainRecord | undefined): Promise<void> {
    return this.#inTurn(() => {
      // reads the counters at once: what comes after that is growth
      const written = this.#write()
      this.#released ??= { growth: new GrowingUsage(), drain }
      return written
    })
  }

  /** Writes for the last time. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.flush()
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action)
    this.#last = done.catch(() => {})
    return done
  }

  #counted(token: Token | undefined, direction?: Direction, bytes?: number): void {
    const { clock, store } = this.#options
    if (token?.source !== 'api' || !store.durable || this.#closed) return
    if (this.#released !== undefined && direction !== undefined && bytes !== undefined) {
      this.#released.growth.add(token.id, direction, bytes, clock.wallTime())
    }
    this.#writeSoon(token, clock.now() + (token.use.traffic.hasQuota ? QUOTA_WRITE_MS : USAGE_WRITE_MS))
  }

  /** @param due by the clock */
  #writeSoon(token: Token, due: number): void {
    if (token.source !== 'api' || !this.#options.store.durable || this.#closed) return
    this.#changed.add(token)
    if (due < this.#due) this.#writeAt(due)
  }

  #writeAt(due: number): void {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#due = due
    this.#timer = clock.after(due - clock.now(), () => void this.flush())
  }

  #grow(id: string, growth: UsageGrowth[string]): void {
    const token = this.#tokens.byId(id)
    if (token !== undefined) return token.source === 'api' ? token.use.traffic.grow(growth) : undefined
    // it sleeps, or it was removed: then the store passes it over
    const usage = new Usage(this.#options.clock.wallTime(), this.#stored.get(id))
    usage.grow(growth)
    this.#stored.set(id, usage.record)
    this.#grown.add(id)
  }

  async #write(): Promise<void> {
    const { alarms, log, clock } = this.#options
    this.#timer?.cancel()
    this.#due = Number.POSITIVE_INFINITY
    if (this.#changed.size === 0) return
    try {
      await (this.#released === undefined ? this.#store() : this.#leave(this.#released))
      alarms.clear('not-stored', ALARM_SUBJECT)
    } catch (thrown) {
      const { code, message } = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
      log.error('usage.not-stored', { code, reason: message })
      alarms.raise('not-stored', ALARM_SUBJECT, 'what tokens used cannot be written to the data directory')
      if (!this.#closed) this.#writeAt(clock.now() + QUOTA_WRITE_MS)
    }
  }

  /** @throws {LinkSocksError} ERR_NOT_STORED: all of it is still to be written */
  async #store(taken = this.#taking): Promise<void> {
    const tokens = [...this.#changed]
    const sleeping = [...this.#grown]
    this.#changed.clear()
    this.#grown.clear()
    const usage = Object.fromEntries([
      ...tokens.map(({ id, use }) => [id, use.traffic.usage.record] as const),
      ...sleeping.flatMap((id) => {
        const record = this.#stored.get(id)
        return record === undefined ? [] : [[id, record] as const]
      }),
    ])
    try {
      await this.#options.store.write({ usage, taken })
      this.#taking = undefined
    } catch (thrown) {
      for (const token of tokens) this.#changed.add(token)
      for (const id of sleeping) this.#grown.add(id)
      throw thrown
    }
  }

  /** @throws {LinkSocksError} ERR_NOT_STORED: all of it is still to be written */
  async #leave({
    growth,
    drain,
  }: {
    readonly growth: GrowingUsage
    readonly drain: DrainRecord | undefined
  }): Promise<void> {
    this.#changed.clear()
    // without files beside the store nothing outlives the process
    if (growth.empty || drain === undefined) return
    const taken = growth.take()
    try {
      await drain.leave(taken, this.#closed)
    } catch (thrown) {
      growth.giveBack(taken)
      for (const id of Object.keys(taken)) {
        const token = this.#tokens.byId(id)
        if (token !== undefined) this.#changed.add(token)
      }
      throw thrown
    }
  }

  #emit(type: QuotaEvent['type'], id: string, { used, quota, resetsAt }: QuotaState): void {
    const { log, events } = this.#options
    log.info(type, { token: id, used, bytes: quota.bytes, period: quota.period })
    events.emit({ type, tokenId: id, used, bytes: quota.bytes, period: quota.period, resetsAt })
  }
}

function shuttingDown(): LinkSocksError {
  return new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')
}
