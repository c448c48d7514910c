import type { DrainingProcess, DrainRecord, DrainState, Handover } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer, TokenStore } from '../../ports.js'
import { EndedTokens } from './ended-tokens.js'
import { UsageIntake } from './usage-intake.js'
import type { UsageKeeper } from './usage-keeper.js'

/** How often a process that drains lets others see how far it is. */
export const DRAIN_SHOW_MS = 1_000

export interface StoreHandoverOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly store: TokenStore
  readonly usage: UsageKeeper
  /** What this process carries now. */
  readonly state: () => DrainState
  /** A token was removed or switched off in the process that has the store now. */
  readonly ended: (id: string) => void
}

/** Takes the store over from the process before, and gives it to the next one at the beginning of a drain. */
export class StoreHandover {
  readonly #options: StoreHandoverOptions
  #handover: Handover | undefined
  #intake: UsageIntake | undefined
  #record: DrainRecord | undefined
  #endedTokens: EndedTokens | undefined
  #timer: Timer | undefined
  #ended = false

  constructor(options: StoreHandoverOptions) {
    this.#options = options
  }

  /** Tokens are restored: takes in what they used elsewhere. @throws {LinkSocksError} ERR_STORE */
  async begin(): Promise<void> {
    const { store, clock, log, usage } = this.#options
    this.#handover = await store.handover()
    if (this.#handover === undefined) return
    const handover = this.#handover
    this.#endedTokens = new EndedTokens({ clock, log, handover })
    this.#intake = new UsageIntake({ clock, log, usage, handover, done: () => void handover.forgetEnded() })
    await this.#intake.look()
  }

  /** A token was removed or switched off: streams of it that another process carries end as well. */
  tokenEnded(id: string): void {
    if (this.#intake?.expects === true) this.#endedTokens?.add(id)
  }

  /** Other processes that drain. Never rejects. */
  async draining(): Promise<readonly DrainingProcess[]> {
    return (await this.#handover?.draining()) ?? []
  }

  /** A drain is about to begin. */
  leaving(): void {
    void this.#handover?.leaving()
  }

  /**
   * Lets the next process have the store. Never rejects: what can't be written is in the log.
   * @param limitMs of the drain
   * @param closeStore does what is given, and closes the store
   */
  async release(limitMs: number, closeStore: (last: () => Promise<void>) => Promise<void>): Promise<void> {
    const { clock, log, usage, state } = this.#options
    await this.stopTaking()
    this.#record = await this.#handover?.beginDrain(clock.wallTime() + limitMs, state())
    const { failure } = this.#record ?? {}
    if (failure !== undefined) {
      log.error('store.no-drain-record', { code: failure.code, reason: failure.message })
    }
    await closeStore(async () => {
      await usage.release(this.#record)
      // before the next process can have it
      if (this.#handover !== undefined) log.info('store.released')
    })
    this.#showLater()
  }

  /** The store is about to be closed. */
  async stopTaking(): Promise<void> {
    await this.#intake?.close()
    await this.#endedTokens?.idle()
  }

  /** All is written: the drain is over. */
  async end(): Promise<void> {
    this.#ended = true
    this.#timer?.cancel()
    await this.#record?.end()
  }

  #showLater(): void {
    const { clock } = this.#options
    const record = this.#record
    if (record === undefined || this.#ended) return
    this.#timer = clock.after(DRAIN_SHOW_MS, () => void this.#exchange(record).then(() => this.#showLater()))
  }

  async #exchange(record: DrainRecord): Promise<void> {
    const { state, ended } = this.#options
    await record.show(state())
    for (const id of await record.ended()) ended(id)
  }
}
